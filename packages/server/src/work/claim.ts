/** Handing out work: the oldest item that nobody has, or whose worker has not answered in time. @module */
import { type Selectable, sql, type Transaction } from "kysely";
import type { Database } from "../db/database.ts";
import type { WorkItemTable } from "../db/tables/work.ts";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { createWorkToken } from "../orgs/work-tokens.ts";
import { leaseSeconds } from "./enqueue.ts";

export interface ClaimedWork {
  readonly row: Selectable<WorkItemTable>;
  /** Of its session and this item. */
  readonly token: string;
}

export interface ClaimOptions {
  readonly organizationId: string;
  readonly environmentId: string;
  /** An item that was taken so long ago and not acknowledged is handed out again, in milliseconds. */
  readonly reclaimOlderThanMs: number;
}

/**
 * Null when there is none. Two at once never get one item. One whose lease has run out begins anew, with another token;
 * its first worker's next heartbeat is refused.
 */
export function claimWork(
  { database, engine }: { readonly database: Database; readonly engine: Engine },
  options: ClaimOptions,
): Promise<ClaimedWork | null> {
  return database.transaction().execute(async (transaction) => {
    await endLostStops(transaction, engine, options);
    const row = await takeOldest(transaction, options);
    if (row === undefined) return null;
    const { id: workId, organization_id: organizationId, attempt } = row;
    return { row, token: await createWorkToken(transaction, { organizationId, workId, attempt }) };
  });
}

async function takeOldest(
  transaction: Transaction<Tables>,
  { organizationId, environmentId, reclaimOlderThanMs }: ClaimOptions,
): Promise<Selectable<WorkItemTable> | undefined> {
  const { rows } = await sql<Selectable<WorkItemTable>>`
    update work_items
    set state = 'starting', attempt = attempt + 1, polled_at = clock_timestamp(), acknowledged_at = null,
        started_at = null, latest_heartbeat_at = null, lease_expires_at = null
    where id = (
      select id from work_items
      where environment_id = ${environmentId} and organization_id = ${organizationId} and state <> 'stopped' and (
        state = 'queued'
        or state = 'starting' and acknowledged_at is null
          and polled_at < clock_timestamp() - make_interval(secs => ${reclaimOlderThanMs / 1_000}::double precision)
        or state in ('starting', 'active') and lease_expires_at < clock_timestamp()
      )
      order by created_at, id
      limit 1
      for update skip locked
    )
    returning *`.execute(transaction);
  return rows[0];
}

/** Items that were to stop and whose worker is gone: their sessions may need another. */
async function endLostStops(
  transaction: Transaction<Tables>,
  engine: Engine,
  { organizationId, environmentId }: ClaimOptions,
): Promise<void> {
  const { rows } = await sql<{ session_id: string }>`
    update work_items set state = 'stopped', stopped_at = now()
    where id in (
      select id from work_items
      where environment_id = ${environmentId} and organization_id = ${organizationId} and state = 'stopping'
        and coalesce(lease_expires_at, stop_requested_at + make_interval(secs => ${leaseSeconds})) < now()
      limit 100
      for update skip locked
    )
    returning session_id`.execute(transaction);
  for (const { session_id: sessionId } of rows) await engine.wakeAt(sessionId, new Date(), transaction);
}

/** What a worker says of an item that it has: acknowledged, alive, done. @module */
import { noHeartbeat, type WorkHeartbeat, type WorkItem, type WorkLeaseState } from "@exoloop/protocol/work";
import { type Selectable, sql, type Transaction } from "kysely";
import type { Database } from "../db/database.ts";
import type { WorkItemTable, WorkState } from "../db/tables/work.ts";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import type { Principal } from "../orgs/principal.ts";
import { endWorkTokens, prolongWorkTokens } from "../orgs/work-tokens.ts";
import { leaseSeconds } from "./enqueue.ts";
import { workNotFound, workStopped, writeWorkItem } from "./work-item.ts";

export interface LeaseDependencies {
  readonly database: Database;
  readonly engine: Engine;
}

export interface WorkAddress {
  readonly environmentId: string;
  readonly workId: string;
}

type Row = Selectable<WorkItemTable>;

/** Twice is once. @throws Problem `not_found`, `work_stopped`, `work_not_claimed` */
export function acknowledge(
  { database }: LeaseDependencies,
  principal: Principal,
  address: WorkAddress,
): Promise<WorkItem> {
  return database.transaction().execute(async (transaction) => {
    const row = await lockItem(transaction, principal, address);
    if (row.state === "stopped") throw workStopped();
    if (row.state === "queued") {
      throw new Problem("work_not_claimed", "Nobody has taken this work item.", "Take it with a poll first.");
    }
    if (row.acknowledged_at !== null) return writeWorkItem(row);
    const acknowledged = await transaction
      .updateTable("work_items")
      .set({ acknowledged_at: sql<Date>`now()`, lease_expires_at: inSeconds(leaseSeconds) })
      .where("id", "=", row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    return writeWorkItem(acknowledged);
  });
}

/** Seconds that a worker may ask for; what is outside is brought inside. */
const shortestLease = 5;
const longestLease = 300;

export interface HeartbeatRequest {
  /** Absent: not compared. */
  readonly expected?: string | undefined;
  /** In seconds. */
  readonly desiredTtl?: number | undefined;
}

/**
 * Prolongs the lease, if the last heartbeat is the one that the caller knows: another one's means that the item is
 * another worker's by now. An item that is to stop is not compared: its worker must learn it.
 * @throws Problem `not_found`, `heartbeat_precondition_failed`
 */
export function beat(
  { database }: LeaseDependencies,
  principal: Principal,
  address: WorkAddress,
  { expected, desiredTtl }: HeartbeatRequest,
): Promise<WorkHeartbeat> {
  const ttl = Math.min(longestLease, Math.max(shortestLease, desiredTtl ?? leaseSeconds));
  return database.transaction().execute(async (transaction) => {
    const row = await lockItem(transaction, principal, address);
    if (row.state === "stopped") return answer(row, ttl, false);
    const late = principal.session?.current === false;
    const known = row.latest_heartbeat_at?.toISOString() ?? noHeartbeat;
    const differs = row.state !== "stopping" && expected !== undefined && expected !== known;
    if (late || differs || row.state === "queued") throw preconditionFailed(row, ttl);
    const beaten = await transaction
      .updateTable("work_items")
      .set({
        state: row.state === "stopping" ? "stopping" : "active",
        acknowledged_at: sql<Date>`coalesce(acknowledged_at, now())`,
        started_at: sql<Date>`coalesce(started_at, now())`,
        // Told to the millisecond, and never twice the same.
        latest_heartbeat_at: sql<Date>`date_trunc('milliseconds',
          greatest(clock_timestamp(), latest_heartbeat_at + interval '1 millisecond'))`,
        lease_expires_at: inSeconds(ttl),
      })
      .where("id", "=", row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await prolongWorkTokens(transaction, row.id, row.attempt, ttl);
    return answer(beaten, ttl, true);
  });
}

function answer(row: Row, ttl: number, extended: boolean): WorkHeartbeat {
  return {
    type: "work_heartbeat",
    last_heartbeat: row.latest_heartbeat_at?.toISOString() ?? "",
    lease_extended: extended,
    state: row.state,
    ttl_seconds: ttl,
  };
}

function preconditionFailed(row: Row, ttl: number): Problem {
  const state: WorkLeaseState = {
    state: row.state,
    ttl_seconds: ttl,
    last_heartbeat: row.latest_heartbeat_at?.toISOString() ?? null,
    lease_extended: false,
  };
  return new Problem(
    "heartbeat_precondition_failed",
    "The last heartbeat is another than the one expected: another worker may have this item.",
    "Leave the item alone and poll for other work.",
    { current_state: state },
  );
}

/**
 * A worker that stops its own item has ended; anybody else asks for it, unless `force`. The session that needs a worker
 * all the same asks for another.
 * @throws Problem `not_found`, `work_stopped`
 */
export function stop(
  { database, engine }: LeaseDependencies,
  principal: Principal,
  address: WorkAddress,
  force: boolean,
): Promise<WorkItem> {
  return database.transaction().execute(async (transaction) => {
    const row = await lockItem(transaction, principal, address);
    if (row.state === "stopped") throw workStopped();
    const byWorker = principal.session !== undefined || principal.environment !== undefined;
    const state: WorkState = force || byWorker || row.state === "queued" ? "stopped" : "stopping";
    const stopped = await transaction
      .updateTable("work_items")
      .set({
        state,
        stop_requested_at: sql<Date>`coalesce(stop_requested_at, now())`,
        stopped_at: state === "stopped" ? sql<Date>`now()` : null,
      })
      .where("id", "=", row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    if (state === "stopped") {
      await endWorkTokens(transaction, row.id);
      // No lock of the session's row: its driver holds it when it looks at this item.
      await engine.wakeAt(row.session_id, new Date(), transaction);
    }
    return writeWorkItem(stopped);
  });
}

async function lockItem(
  transaction: Transaction<Tables>,
  { organizationId }: Principal,
  { environmentId, workId }: WorkAddress,
): Promise<Row> {
  const row = await transaction
    .selectFrom("work_items")
    .selectAll()
    .where("id", "=", workId)
    .where("environment_id", "=", environmentId)
    .where("organization_id", "=", organizationId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw workNotFound();
  return row;
}

function inSeconds(seconds: number) {
  return sql<Date>`clock_timestamp() + make_interval(secs => ${seconds})`;
}

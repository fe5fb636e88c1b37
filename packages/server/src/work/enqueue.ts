/**
 * Work for workers, from the loop's side: a session that waits for a worker's result has one open item, and no more. The
 * caller holds the session's row lock.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import { sql, type Transaction } from "kysely";
import { afterCommit } from "../db/database.ts";
import type { Tables } from "../db/tables.ts";
import { lookSequence } from "../sessions/notice-batch.ts";
import type { NoticeBoard } from "../sessions/notices.ts";

/** How long a lease lasts unless the worker asks for another time. The SDK's worker beats twice in it. */
export const leaseSeconds = 30;

/**
 * Puts an item into the queue of the environment, for the session or the one that the thread works for, unless one is
 * open: then its worker finds the call in the log, or the item's end wakes the session, which asks again. Nothing where
 * the environment is not self-hosted.
 */
export async function enqueueWork(
  transaction: Transaction<Tables>,
  notices: NoticeBoard,
  sessionId: string,
): Promise<void> {
  const { rows } = await sql<{ environment_id: string }>`
    insert into work_items (id, organization_id, environment_id, session_id)
    select ${createId("workItem")}, served.organization_id, served.environment_id, served.id
    from sessions asking
    join sessions served on served.id = coalesce(asking.parent_session_id, asking.id)
    join environments on environments.id = served.environment_id
    where asking.id = ${sessionId} and served.archived_at is null and environments.config->>'type' = 'self_hosted'
    on conflict (session_id) where state <> 'stopped' do nothing
    returning environment_id`.execute(transaction);
  const environmentId = rows[0]?.environment_id;
  if (environmentId !== undefined) await afterCommit(transaction, () => announceWork(notices, environmentId));
}

/** Tells all processes that somebody may have found work. The board delivers by any identifier, not only a session's. */
export function announceWork(notices: NoticeBoard, environmentId: string): void {
  notices.publish({ type: "appended", sessionId: environmentId, seq: lookSequence });
}

/** Nobody takes the item any more; a worker that has it learns so with its next heartbeat. */
export async function stopWork(transaction: Transaction<Tables>, sessionId: string): Promise<void> {
  await sql`
    update work_items
    set state = case state when 'queued' then 'stopped' else 'stopping' end,
        stop_requested_at = now(),
        stopped_at = case state when 'queued' then now() end
    where session_id = ${sessionId} and state in ('queued', 'starting', 'active')`.execute(transaction);
}

/**
 * Sessions that wait for another session to come to rest. The table says whom to wake; what is true is in the sessions'
 * own rows and logs.
 * @module
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { SessionStatus, Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";

export interface RegisteredWait {
  readonly toolUseId: string;
  readonly kind: "webhook" | "session";
  readonly target: string;
}

export async function registerWaits(
  transaction: Transaction<Tables>,
  waiter: { readonly sessionId: string; readonly organizationId: string },
  waits: readonly RegisteredWait[],
): Promise<void> {
  if (waits.length === 0) return;
  const rows = waits.map(({ toolUseId, kind, target }) => ({
    session_id: waiter.sessionId,
    organization_id: waiter.organizationId,
    tool_use_id: toolUseId,
    kind,
    target,
  }));
  await transaction
    .insertInto("session_waits")
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export async function endWaits(database: Kysely<Tables>, sessionId: string, toolUseIds: readonly string[]) {
  if (toolUseIds.length === 0) return;
  await database
    .deleteFrom("session_waits")
    .where("session_id", "=", sessionId)
    .where("tool_use_id", "in", [...toolUseIds])
    .execute();
}

/** Of a session that has ended. */
export async function endAllWaits(database: Kysely<Tables>, sessionId: string): Promise<void> {
  await database.deleteFrom("session_waits").where("session_id", "=", sessionId).execute();
}

/**
 * In the transaction in which the session comes to rest. Takes no lock of those that wait: two sessions that wait for
 * each other must not hold each other up.
 */
export async function wakeWaiters(
  transaction: Transaction<Tables>,
  engine: Engine,
  session: { readonly sessionId: string; readonly organizationId: string },
): Promise<void> {
  const waiters = await transaction
    .selectFrom("session_waits")
    .select("session_id")
    .where("organization_id", "=", session.organizationId)
    .where("kind", "=", "session")
    .where("target", "=", session.sessionId)
    .execute();
  for (const waiter of new Set(waiters.map((row) => row.session_id))) {
    await engine.wakeAt(waiter, new Date(), transaction);
  }
}

/**
 * Whether a session that the waiting one may know of has ended or come to rest; null when there is none. Input that it has not
 * begun with keeps it from resting, and so does a question that waits for somebody's answer. Waits for a transaction that
 * is about to change its row: one that did not see our registration yet is thereby seen by us.
 */
export async function settledStatus(
  database: Kysely<Tables>,
  waiter: { readonly sessionId: string; readonly organizationId: string },
  sessionId: string,
): Promise<{ readonly ended: boolean; readonly rested: boolean } | null> {
  const { rows } = await sql<{ status: SessionStatus }>`
    select status from sessions target
    where id = ${sessionId} and organization_id = ${waiter.organizationId} and parent_session_id is null
      and (visibility = 'shared' or exists (
        select from sessions waiter
        where waiter.id = ${waiter.sessionId} and waiter.visibility = 'private' and waiter.user_id = target.user_id))
    for share of target`.execute(database);
  const row = rows[0];
  if (row === undefined) return null;
  const rested = row.status === "idle" && (await isAtRest(database, sessionId));
  return { ended: row.status === "terminated", rested };
}

/** Read after the lock was waited for: a statement of its own sees what was committed meanwhile. */
async function isAtRest(database: Kysely<Tables>, sessionId: string): Promise<boolean> {
  const last = await database
    .selectFrom("session_events")
    .select(["type", "data"])
    .where("session_id", "=", sessionId)
    .where((expression) =>
      expression.or([expression("type", "=", "session.status_idle"), expression("type", "like", "user.%")]),
    )
    // What was passed on to a thread does not keep the session itself from resting.
    .where(sql<boolean>`record->'passed_on' is null`)
    .orderBy("seq", "desc")
    .executeTakeFirst();
  if (last?.type !== "session.status_idle") return false;
  const reason: unknown = last.data?.["stop_reason"];
  return !(typeof reason === "object" && reason !== null && "type" in reason && reason.type === "requires_action");
}

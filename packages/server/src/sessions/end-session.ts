/**
 * The end of sessions and threads. The epoch is taken from a running driver: it writes nothing after this, and what it
 * runs is stopped.
 * @module
 */
import { type Kysely, type Selectable, sql, type Transaction } from "kysely";
import type { SessionTable, Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { archivedEvents } from "../loop/thread-rest.ts";
import { Problem } from "../errors.ts";
import { chargeOf } from "./charge.ts";
import { type LogEvent, publicEvent } from "./event.ts";
import { chargeLedger } from "./ledger.ts";
import { lockOpenSession } from "./access.ts";
import { sessionNotFound } from "./locked-session.ts";
import { appendUnderLock, readLog } from "./log.ts";
import type { NoticeBoard } from "./notices.ts";
import type { Principal } from "./port.ts";
import { reduceLog } from "./reduce.ts";
import { endAllWaits, wakeWaiters } from "./waits.ts";
import { stopWork } from "../work/enqueue.ts";

export interface EndDependencies {
  readonly database: Kysely<Tables>;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  /** Destroys the sandbox of a session that takes no more commands. Never rejects. */
  readonly releaseSandbox: (owner: { readonly sessionId: string; readonly organizationId: string }) => Promise<void>;
}

/** Whose logs have grown, and up to which number. */
type Grown = Map<string, number>;

/**
 * Ends a session with all its threads. Answers the number of the event that says so, for the caller to announce; null
 * when the session was archived before.
 */
export async function archiveSession(
  dependencies: EndDependencies,
  principal: Principal,
  sessionId: string,
): Promise<number | null> {
  const grown: Grown = new Map();
  await dependencies.database.transaction().execute(async (transaction) => {
    grown.clear();
    const row = await lockOpenSession(transaction, principal, sessionId, "oversee");
    if (row.archived_at !== null) return;
    for (const thread of await lockThreads(transaction, sessionId)) await endThread(transaction, thread, grown);
    const [last] = await end(transaction, sessionId, grown);
    await stopWork(transaction, sessionId);
    await wakeWaiters(transaction, dependencies.engine, { sessionId, organizationId: principal.organizationId });
    const charge = chargeOf([terminated()]);
    if (charge !== null && last !== undefined) await chargeLedger(transaction, sessionId, charge, last.seq);
  });
  const threads = [...grown].filter(([id]) => id !== sessionId);
  for (const [id, seq] of threads) dependencies.notices.publish({ type: "appended", sessionId: id, seq });
  for (const id of grown.keys()) {
    await dependencies.releaseSandbox({ sessionId: id, organizationId: principal.organizationId });
  }
  return grown.get(sessionId) ?? null;
}

export async function deleteSession(
  dependencies: EndDependencies,
  principal: Principal,
  sessionId: string,
): Promise<void> {
  const { database, notices } = dependencies;
  // Archived first: the drivers lose their claims, and no command makes another sandbox after these are destroyed. The
  // rows that name the sandboxes go with the session. Not announced: what streams show is the deletion.
  await archiveSession(dependencies, principal, sessionId);
  const threads = await database.transaction().execute(async (transaction) => {
    const row = await lockOpenSession(transaction, principal, sessionId, "oversee");
    const rows = await transaction
      .selectFrom("sessions")
      .select("id")
      .where("parent_session_id", "=", sessionId)
      .execute();
    const threadIds = rows.map(({ id }) => id);
    if (row.visibility === "private") {
      // They outlive the session that says whose they are.
      const of = [sessionId, ...threadIds];
      await transaction
        .updateTable("snapshots")
        .set({ private_to: row.user_id })
        .where("session_id", "in", of)
        .execute();
    }
    await transaction.deleteFrom("sessions").where("id", "=", sessionId).execute();
    return threadIds;
  });
  for (const id of [sessionId, ...threads]) notices.publish({ type: "deleted", sessionId: id });
}

/** Ends one thread; a call that it works on gets an error as its result. Archiving twice answers the same. */
export async function archiveThread(
  { database, engine, notices, releaseSandbox }: EndDependencies,
  principal: Principal,
  sessionId: string,
  threadId: string,
): Promise<void> {
  const grown: Grown = new Map();
  await database.transaction().execute(async (transaction) => {
    grown.clear();
    await lockOpenSession(transaction, principal, sessionId, "drive");
    const [thread] = await lockThreads(transaction, sessionId, threadId);
    if (thread === undefined) throw threadNotFound();
    if (thread.archived_at !== null) return;
    await endThread(transaction, thread, grown);
    await engine.wake(sessionId, transaction);
  });
  for (const [id, seq] of grown) notices.publish({ type: "appended", sessionId: id, seq });
  if (grown.size > 0) await releaseSandbox({ sessionId: threadId, organizationId: principal.organizationId });
}

export function threadNotFound(): Problem {
  return new Problem(
    "not_found",
    "The session has no thread with this id.",
    "List them with GET /v1/sessions/{session_id}/threads.",
  );
}

/** In one order, after the session's row. All that are not archived, or the one that is named whatever it is. */
async function lockThreads(
  transaction: Transaction<Tables>,
  sessionId: string,
  threadId?: string,
): Promise<readonly Selectable<SessionTable>[]> {
  const named = threadId === undefined ? sql<boolean>`archived_at is null` : sql<boolean>`id = ${threadId}`;
  return transaction
    .selectFrom("sessions")
    .selectAll()
    .where("parent_session_id", "=", sessionId)
    .where(named)
    .orderBy("id")
    .forUpdate()
    .execute();
}

async function endThread(
  transaction: Transaction<Tables>,
  thread: Selectable<SessionTable>,
  grown: Grown,
): Promise<void> {
  const state = reduceLog(await readLog(transaction, thread.id, 0));
  await end(transaction, thread.id, grown);
  if (state.delegation === null) return;
  const { parentId } = state.delegation;
  const told = await appendUnderLock(transaction, parentId, archivedEvents(thread.id, state.delegation, state));
  grown.set(parentId, told.at(-1)?.seq ?? 0);
}

const terminated = () => publicEvent("session.status_terminated", {});

/** A thread's time is not charged: it ran while its session did. */
async function end(transaction: Transaction<Tables>, sessionId: string, grown: Grown): Promise<readonly LogEvent[]> {
  const options = { status: "terminated", fence: true } as const;
  const events = await appendUnderLock(transaction, sessionId, [terminated()], options);
  await transaction.updateTable("sessions").set({ archived_at: new Date() }).where("id", "=", sessionId).execute();
  const last = events.at(-1);
  if (last === undefined) throw sessionNotFound(sessionId);
  grown.set(sessionId, last.seq);
  await endAllWaits(transaction, sessionId);
  return events;
}

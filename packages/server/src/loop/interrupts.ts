/** Interrupts: watched for while an effect runs, and passed on to threads. @module */
import { sql } from "kysely";
import type { Database } from "../db/database.ts";
import type { Engine } from "../engine/engine.ts";
import { type LogEvent, publicEvent } from "../sessions/event.ts";
import { appendUnderLock, type Claim } from "../sessions/log.ts";
import type { NoticeBoard } from "../sessions/notices.ts";

/** A notice can be lost with the process that would have sent it. */
const lookIntervalMs = 5_000;

export interface InterruptDependencies {
  readonly database: Database;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
}

/** Watches for an interrupt, or the end of the session, while the effect runs; the log, not the notice, says whether there is one. */
export async function interruptible<Result>(
  { database, notices }: InterruptDependencies,
  claim: Claim,
  seq: number,
  intent: readonly LogEvent[] | null,
  effect: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const look = async () => {
    const interrupt = await database
      .selectFrom("session_events")
      .select("seq")
      .where("session_id", "=", claim.sessionId)
      .where("type", "in", ["user.interrupt", "session.status_terminated"])
      .where("seq", ">", seq)
      // One that is passed on to a thread does not stop this session.
      .where(sql<boolean>`record->'passed_on' is null`)
      .executeTakeFirst();
    if (interrupt !== undefined) controller.abort();
  };
  const unsubscribe = notices.subscribe(claim.sessionId, (notice) => {
    // A failed look costs latency only: the interrupt is consumed at the next checkpoint.
    if (notice.type === "appended") void look().catch(() => undefined);
    if (notice.type === "deleted") controller.abort();
  });
  const fallback = setInterval(() => void look().catch(() => undefined), lookIntervalMs);
  const followsDirectly = intent !== null && intent[0]?.seq === seq + 1;
  try {
    // Before the effect: one that is not wanted any more should not begin.
    if (!followsDirectly) await look().catch(() => undefined);
    return await effect(controller.signal);
  } finally {
    clearInterval(fallback);
    unsubscribe();
  }
}

/** Admits an interrupt to a thread; once for each source. One that has ended takes none. */
export async function interruptThread(
  { database, engine, notices }: InterruptDependencies,
  threadId: string,
  sourceId: string,
): Promise<void> {
  const stored = await database.transaction().execute(async (transaction) => {
    const row = await transaction
      .selectFrom("sessions")
      .select(["status", "archived_at"])
      .where("id", "=", threadId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined || row.archived_at !== null || row.status === "terminated") return [];
    const known = await transaction
      .selectFrom("session_events")
      .select("seq")
      .where("session_id", "=", threadId)
      .where("type", "=", "user.interrupt")
      .where(sql<boolean>`record->>'source' = ${sourceId}`)
      .executeTakeFirst();
    if (known !== undefined) return [];
    const interrupt = publicEvent("user.interrupt", {}, { record: { source: sourceId } });
    const events = await appendUnderLock(transaction, threadId, [interrupt]);
    await engine.wake(threadId, transaction);
    return events;
  });
  const last = stored.at(-1);
  if (last !== undefined) notices.publish({ type: "appended", sessionId: threadId, seq: last.seq });
}

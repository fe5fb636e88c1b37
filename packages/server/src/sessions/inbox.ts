/**
 * The inbox: input that any process may admit, under the session's row lock, in one transaction with the wake. What a
 * client sends twice because it saw no answer is admitted once, where the event itself says what it answers.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import { primaryThreadId } from "@exoloop/protocol/threads";
import type { Kysely, Transaction } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import { alreadyAnswered, answeredCall, checkAnswer } from "./answers.ts";
import type { Input } from "./input.ts";
import { type LogEvent, type NewEvent, publicEvent, recordEvent } from "./event.ts";
import { appendUnderLock } from "./log.ts";

/**
 * Appends all events or none and asks for a turn of whoever they are for: the session, or a thread of it. The caller
 * holds the session's row lock and has checked that the session takes input. Answers the session's stored events, in
 * the order sent.
 * @param threads Takes the number of the last event of each thread that got one, for the caller to announce.
 */
export async function admit(
  transaction: Transaction<Tables>,
  engine: Engine,
  sessionId: string,
  inputs: readonly Input[],
  threads: Map<string, number> = new Map(),
): Promise<readonly LogEvent[]> {
  const entries: ({ readonly repeat: LogEvent } | { readonly fresh: NewEvent; readonly threadId: string | null })[] =
    [];
  const answered = new Set<string>();
  for (const [index, input] of inputs.entries()) {
    const callId = answeredCall(input);
    if (callId !== null) {
      if (answered.has(callId)) throw alreadyAnswered(index, callId);
      answered.add(callId);
    }
    const threadId = await findThread(transaction, sessionId, input, callId);
    if (threadId !== null) await lockThread(transaction, sessionId, threadId, index);
    const repeat =
      callId === null ? null : await checkAnswer(transaction, { sessionId, threadId, callId, index }, toEvent(input));
    entries.push(repeat === null ? { fresh: toEvent(input), threadId } : { repeat });
  }
  const fresh = entries.flatMap((entry) => ("fresh" in entry ? [entry] : []));
  const stored = await appendInput(transaction, sessionId, fresh);
  if (fresh.some((entry) => entry.threadId === null)) await engine.wake(sessionId, transaction);
  for (const { fresh: event, threadId } of fresh) {
    if (threadId === null) continue;
    const passedOn = await appendUnderLock(transaction, threadId, [event]);
    threads.set(threadId, passedOn.at(-1)?.seq ?? 0);
    await engine.wake(threadId, transaction);
  }
  const byId = new Map(stored.map((event) => [event.id, event]));
  return entries.flatMap((entry) => {
    const event = "repeat" in entry ? entry.repeat : byId.get(entry.fresh.id);
    return event === undefined ? [] : [event];
  });
}

/** What is for a thread stands in the session's log as well, consumed: it was passed on. */
async function appendInput(
  transaction: Transaction<Tables>,
  sessionId: string,
  fresh: readonly { readonly fresh: NewEvent; readonly threadId: string | null }[],
): Promise<readonly LogEvent[]> {
  if (fresh.length === 0) return [];
  const events = fresh.map(({ fresh: event, threadId }) =>
    threadId === null
      ? event
      : { ...event, data: { ...event.data, session_thread_id: threadId }, record: passedOnRecord },
  );
  const passedOn = fresh.filter((entry) => entry.threadId !== null).map((entry) => entry.fresh.id);
  const consumed = passedOn.length === 0 ? [] : [recordEvent("x.consumed", { event_ids: passedOn })];
  return appendUnderLock(transaction, sessionId, [...events, ...consumed]);
}

/** The session's own loop leaves such an event alone. */
const passedOnRecord = { passed_on: true };

/** The thread that an event is for. Null: it is for the session itself. */
async function findThread(
  transaction: Kysely<Tables>,
  sessionId: string,
  input: Input,
  callId: string | null,
): Promise<string | null> {
  if (input.type === "user.interrupt") {
    const threadId = input.session_thread_id ?? null;
    return threadId === primaryThreadId(sessionId) ? null : threadId;
  }
  if (callId === null) return null;
  const call = await transaction
    .selectFrom("session_events")
    .select("data")
    .where("session_id", "=", sessionId)
    .where("id", "=", callId)
    .executeTakeFirst();
  const threadId = call?.data?.["session_thread_id"];
  return typeof threadId === "string" ? threadId : null;
}

/** After the session's row: the order of locks between sessions. */
async function lockThread(transaction: Transaction<Tables>, sessionId: string, threadId: string, index: number) {
  const row = await transaction
    .selectFrom("sessions")
    .select(["status", "archived_at"])
    .where("id", "=", threadId)
    .where("parent_session_id", "=", sessionId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) {
    throw new Problem(
      "not_found",
      `events[${index}].session_thread_id: the session has no such thread.`,
      "List them with GET /v1/sessions/{session_id}/threads.",
    );
  }
  if (row.archived_at === null && row.status !== "terminated") return;
  throw new Problem("session_archived", `events[${index}]: the thread ${threadId} is archived and takes no input.`);
}

function toEvent(input: Input): NewEvent {
  const { type, ...data } = input;
  const present = Object.entries(data).filter(
    ([name, value]) => value !== undefined && (name !== "session_thread_id" || value !== null),
  );
  const allocated = type === "user.define_outcome" ? { outcome_id: createId("outcome") } : {};
  return publicEvent(type, { ...Object.fromEntries(present), ...allocated });
}

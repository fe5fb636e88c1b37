/**
 * The inbox: input that any process may admit, under the session's row lock, in one transaction with the wake. What a
 * client sends twice because it saw no answer is admitted once, where the event itself says what it answers.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { createId } from "@exoloop/protocol/ids";
import { primaryThreadId } from "@exoloop/protocol/threads";
import type { Kysely, Transaction } from "kysely";
import { sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import { type LogEvent, type NewEvent, publicEvent, recordEvent } from "./event.ts";
import { appendUnderLock } from "./log.ts";

/** An event as a client sends it, checked by the HTTP layer. */
export type Input =
  | {
      readonly type: "user.message";
      readonly content: readonly unknown[];
      readonly x_exoloop?: { readonly delivery?: "steer" | "queue" | undefined } | undefined;
    }
  /** Of one thread; null or absent: of the session and all its threads. */
  | { readonly type: "user.interrupt"; readonly session_thread_id?: string | null | undefined }
  | {
      readonly type: "user.tool_confirmation";
      readonly tool_use_id: string;
      readonly result: "allow" | "deny";
      readonly deny_message?: string | null | undefined;
    }
  | {
      readonly type: "user.custom_tool_result";
      readonly custom_tool_use_id: string;
      readonly content?: readonly unknown[] | undefined;
      readonly is_error?: boolean | null | undefined;
    }
  | {
      readonly type: "user.define_outcome";
      readonly description: string;
      readonly rubric: { readonly type: "text"; readonly content: string };
      readonly max_iterations: number;
    };

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
    const repeat = callId === null ? null : await checkAnswer(transaction, sessionId, threadId, input, callId, index);
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

function answeredCall(input: Input): string | null {
  if (input.type === "user.tool_confirmation") return input.tool_use_id;
  return input.type === "user.custom_tool_result" ? input.custom_tool_use_id : null;
}

/**
 * An answer must name a call that waits for it. Null when it is new; the stored event when it is a repeat.
 * @throws Problem `unknown_tool_use` or `already_answered`
 */
async function checkAnswer(
  transaction: Kysely<Tables>,
  sessionId: string,
  threadId: string | null,
  input: Input,
  callId: string,
  index: number,
): Promise<LogEvent | null> {
  const confirmation = input.type === "user.tool_confirmation";
  const call = await transaction
    .selectFrom("session_events")
    .select(["type", "data"])
    .where("session_id", "=", sessionId)
    .where("id", "=", callId)
    .where("type", "=", confirmation ? "agent.tool_use" : "agent.custom_tool_use")
    .executeTakeFirst();
  if (call === undefined || (confirmation && call.data?.["evaluated_permission"] !== "ask")) {
    const field = confirmation ? "tool_use_id" : "custom_tool_use_id";
    throw new Problem(
      "unknown_tool_use",
      `events[${index}].${field}: no call of this session with this id waits for such an answer.`,
      "The ids of waiting calls are in stop_reason.event_ids of the last session.status_idle event.",
    );
  }
  const known = await findAnswer(transaction, sessionId, callId);
  const earlier = known === null && threadId !== null ? await findAnswer(transaction, threadId, callId) : known;
  if (earlier === null) return null;
  if (earlier.type === input.type && sameAnswer(earlier, toEvent(input))) return earlier;
  throw alreadyAnswered(index, callId);
}

async function findAnswer(transaction: Kysely<Tables>, sessionId: string, callId: string): Promise<LogEvent | null> {
  const row = await transaction
    .selectFrom("session_events")
    .select(["seq", "id", "type", "data", "record", "created_at"])
    .where("session_id", "=", sessionId)
    .where("type", "in", ["user.tool_confirmation", "user.custom_tool_result", "agent.tool_result"])
    .where(sql<boolean>`coalesce(data->>'tool_use_id', data->>'custom_tool_use_id') = ${callId}`)
    .orderBy("seq")
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    seq: Number(row.seq),
    id: row.id,
    type: row.type,
    data: row.data,
    record: row.record,
    createdAt: row.created_at,
  };
}

/** Whatever the order of their fields: jsonb keeps its own. */
function sameAnswer(stored: LogEvent, sent: NewEvent): boolean {
  const { session_thread_id: _thread, ...data } = stored.data ?? {};
  return isDeepStrictEqual(data, sent.data);
}

function alreadyAnswered(index: number, callId: string): Problem {
  return new Problem(
    "already_answered",
    `events[${index}]: the call ${callId} has been answered already.`,
    "Read the session's events to see its answer.",
  );
}

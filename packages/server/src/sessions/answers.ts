/**
 * Answers to calls: approvals, results of the client's own tools, results of a worker. Each must name a call that waits
 * for it; one that is sent twice, because its sender saw no answer, is taken once.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { Kysely } from "kysely";
import { sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import type { LogEvent, NewEvent } from "./event.ts";
import type { Input } from "./input.ts";

/** The call that an input answers; null when it answers none. */
export function answeredCall(input: Input): string | null {
  if (input.type === "user.tool_confirmation" || input.type === "user.tool_result") return input.tool_use_id;
  return input.type === "user.custom_tool_result" ? input.custom_tool_use_id : null;
}

interface Answered {
  readonly sessionId: string;
  /** The thread whose call it is; null: the session's own. */
  readonly threadId: string | null;
  readonly callId: string;
  /** Where the answer stands in its request. */
  readonly index: number;
}

/** What an answer may not come after. An approval is one of them only for another approval. */
const settledBy: Readonly<Record<string, readonly string[]>> = {
  "user.tool_confirmation": ["user.tool_confirmation", "user.tool_result", "agent.tool_result"],
  "user.tool_result": ["user.tool_result", "agent.tool_result"],
  "user.custom_tool_result": ["user.custom_tool_result", "agent.tool_result"],
};

/**
 * Null when the answer is new; the stored event when it is a repeat.
 * @throws Problem `unknown_tool_use` or `already_answered`
 */
export async function checkAnswer(
  transaction: Kysely<Tables>,
  answered: Answered,
  answer: NewEvent,
): Promise<LogEvent | null> {
  const { sessionId, threadId, callId, index } = answered;
  if (!(await waitsFor(transaction, answered, answer.type))) {
    const field = answer.type === "user.custom_tool_result" ? "custom_tool_use_id" : "tool_use_id";
    throw new Problem(
      "unknown_tool_use",
      `events[${index}].${field}: no call of this session with this id waits for such an answer.`,
      "The ids of waiting calls are in stop_reason.event_ids of the last session.status_idle event.",
    );
  }
  const types = settledBy[answer.type] ?? [];
  const known = await findAnswer(transaction, sessionId, callId, types);
  const earlier = known === null && threadId !== null ? await findAnswer(transaction, threadId, callId, types) : known;
  if (earlier === null) return null;
  if (earlier.type === answer.type && sameAnswer(earlier, answer)) return earlier;
  throw alreadyAnswered(index, callId);
}

/** Whether the call is one that such an answer is for; it may have been given already. */
async function waitsFor(
  transaction: Kysely<Tables>,
  { sessionId, callId }: Answered,
  answer: string,
): Promise<boolean> {
  const call = await transaction
    .selectFrom("session_events")
    .select(["data", "record"])
    .where("session_id", "=", sessionId)
    .where("id", "=", callId)
    .where("type", "=", answer === "user.custom_tool_result" ? "agent.custom_tool_use" : "agent.tool_use")
    .executeTakeFirst();
  if (call === undefined) return false;
  if (answer === "user.custom_tool_result") return true;
  const asks = call.data?.["evaluated_permission"] === "ask";
  if (answer === "user.tool_confirmation") return asks;
  if (call.record?.["worker"] !== true) return false;
  if (!asks) return true;
  // What nobody has allowed was not run, whatever the worker says.
  const approval = await findAnswer(transaction, sessionId, callId, ["user.tool_confirmation"]);
  return approval?.data?.["result"] === "allow";
}

async function findAnswer(
  transaction: Kysely<Tables>,
  sessionId: string,
  callId: string,
  types: readonly string[],
): Promise<LogEvent | null> {
  const row = await transaction
    .selectFrom("session_events")
    .select(["seq", "id", "type", "data", "record", "created_at"])
    .where("session_id", "=", sessionId)
    .where("type", "in", [...types])
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

export function alreadyAnswered(index: number, callId: string): Problem {
  return new Problem(
    "already_answered",
    `events[${index}]: the call ${callId} has been answered already.`,
    "Read the session's events to see its answer.",
  );
}

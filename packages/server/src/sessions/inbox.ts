/**
 * The inbox: input that any process may admit, under the session's row lock, in one transaction with the wake. What a
 * client sends twice because it saw no answer is admitted once, where the event itself says what it answers.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { Kysely, Transaction } from "kysely";
import { sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import { type LogEvent, type NewEvent, publicEvent } from "./event.ts";
import { appendUnderLock } from "./log.ts";

/** An event as a client sends it, checked by the HTTP layer. */
export type Input =
  | {
      readonly type: "user.message";
      readonly content: readonly unknown[];
      readonly x_exoloop?: { readonly delivery?: "steer" | "queue" | undefined } | undefined;
    }
  | { readonly type: "user.interrupt" }
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
    };

/**
 * Appends all events or none and asks for a turn. The caller holds the session's row lock and has checked that the
 * session takes input. Answers the stored events, in the order sent.
 */
export async function admit(
  transaction: Transaction<Tables>,
  engine: Engine,
  sessionId: string,
  inputs: readonly Input[],
): Promise<readonly LogEvent[]> {
  const entries: ({ readonly repeat: LogEvent } | { readonly fresh: NewEvent })[] = [];
  const answered = new Set<string>();
  for (const [index, input] of inputs.entries()) {
    const callId = answeredCall(input);
    if (callId !== null) {
      if (answered.has(callId)) throw alreadyAnswered(index, callId);
      answered.add(callId);
    }
    const repeat = callId === null ? null : await checkAnswer(transaction, sessionId, input, callId, index);
    entries.push(repeat === null ? { fresh: toEvent(input) } : { repeat });
  }
  const fresh = entries.flatMap((entry) => ("fresh" in entry ? [entry.fresh] : []));
  const stored = fresh.length === 0 ? [] : await appendUnderLock(transaction, sessionId, fresh);
  if (stored.length > 0) await engine.wake(sessionId, transaction);
  const byId = new Map(stored.map((event) => [event.id, event]));
  return entries.flatMap((entry) => {
    const event = "repeat" in entry ? entry.repeat : byId.get(entry.fresh.id);
    return event === undefined ? [] : [event];
  });
}

function toEvent(input: Input): NewEvent {
  const { type, ...data } = input;
  const present = Object.entries(data).filter(([, value]) => value !== undefined);
  return publicEvent(type, Object.fromEntries(present));
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
  const earlier = await findAnswer(transaction, sessionId, callId);
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
  return isDeepStrictEqual(stored.data, sent.data);
}

function alreadyAnswered(index: number, callId: string): Problem {
  return new Problem(
    "already_answered",
    `events[${index}]: the call ${callId} has been answered already.`,
    "Read the session's events to see its answer.",
  );
}

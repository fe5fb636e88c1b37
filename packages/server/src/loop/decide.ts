/**
 * What is the next safe thing? Pure: decided from the state alone, so that two drivers that read the same log decide
 * the same.
 * @module
 */
import type { InboxEvent, OpenCall, SessionState, ToolCallPart } from "../sessions/state.ts";

export type StopReason =
  | { readonly type: "end_turn" }
  | { readonly type: "requires_action"; readonly event_ids: readonly string[] }
  | { readonly type: "retries_exhausted" }
  | { readonly type: "refusal" };

export type Action =
  /** Input enters the transcript; the session runs. */
  | { readonly type: "consume"; readonly events: readonly InboxEvent[] }
  /** The start of a model call was recorded by a driver that is gone: count it as a failed attempt. */
  | { readonly type: "settle-model"; readonly startId: string }
  | { readonly type: "call-model" }
  | { readonly type: "decide-calls"; readonly calls: readonly ToolCallPart[] }
  /** A call that will not run gets its error result. */
  | { readonly type: "settle-tools"; readonly calls: readonly OpenCall[] }
  /** More than one only where all of them may run beside each other. */
  | { readonly type: "run-tools"; readonly calls: readonly OpenCall[] }
  /** The turn is long: it continues as a new turn. */
  | { readonly type: "continue-later" }
  /** A failed model call is due again at `until`, milliseconds since the epoch. */
  | { readonly type: "wait-until"; readonly until: number }
  | { readonly type: "wait"; readonly reason: StopReason };

export interface TurnLimits {
  /** Model and tool calls of one turn; then it continues as another, so that a deploy never waits long. */
  readonly maximumStepsInTurn: number;
  readonly maximumModelAttempts: number;
}

export interface DecideContext extends TurnLimits {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Model and tool calls that this turn has made. */
  readonly stepsInTurn: number;
  /** Whether calls of this tool may run beside others. */
  readonly isParallel: (toolName: string) => boolean;
}

export function decide(state: SessionState, context: DecideContext): Action {
  if (state.modelCall !== null) return { type: "settle-model", startId: state.modelCall.startId };
  const consumable = consumableInput(state);
  if (consumable.length > 0) return { type: "consume", events: consumable };
  if (state.undecided.length > 0) return { type: "decide-calls", calls: state.undecided };
  const refused = state.calls.filter((call) => call.status === "refused");
  if (refused.length > 0) return { type: "settle-tools", calls: refused };
  const runnable = runnableCalls(state, context);
  if (runnable.length > 0) return tooLong(context) ?? { type: "run-tools", calls: runnable };
  const waiting = state.calls.filter(
    (call) => call.status === "awaiting_approval" || call.status === "awaiting_result",
  );
  if (waiting.length > 0) {
    return { type: "wait", reason: { type: "requires_action", event_ids: waiting.map((call) => call.toolUseId) } };
  }
  return decideModelCall(state, context);
}

function decideModelCall(state: SessionState, context: DecideContext): Action {
  if (state.halted === "refusal") return { type: "wait", reason: { type: "refusal" } };
  if (state.halted === "retries_exhausted") return { type: "wait", reason: { type: "retries_exhausted" } };
  const last = state.transcript.at(-1);
  if (state.halted !== null || last === undefined || last.role === "assistant") {
    return { type: "wait", reason: { type: "end_turn" } };
  }
  const failure = state.modelFailure;
  if (failure !== null) {
    if (!failure.retryable || failure.attempts >= context.maximumModelAttempts) {
      return { type: "wait", reason: { type: "retries_exhausted" } };
    }
    if (failure.retryAt > context.now) return { type: "wait-until", until: failure.retryAt };
  }
  return tooLong(context) ?? { type: "call-model" };
}

function tooLong(context: DecideContext): Action | null {
  return context.stepsInTurn >= context.maximumStepsInTurn ? { type: "continue-later" } : null;
}

/**
 * An interrupt and an answer to a call are taken at once. A message waits until no call is open: every call needs its
 * result before the next message of the user.
 */
function consumableInput(state: SessionState): readonly InboxEvent[] {
  const open = state.calls.length > 0 || state.undecided.length > 0;
  const interrupted = state.inbox.findIndex((entry) => entry.type === "interrupt");
  // A message that came after an interrupt starts the next exchange: it must not be consumed together with it.
  const reach = interrupted === -1 ? state.inbox : state.inbox.slice(0, interrupted + 1);
  return reach.filter((entry) => entry.type !== "message" || !open);
}

function runnableCalls(state: SessionState, context: DecideContext): readonly OpenCall[] {
  const due = state.calls.filter((call) => call.status === "ready" || call.status === "started");
  const first = due[0];
  if (first === undefined) return [];
  if (!context.isParallel(first.toolName)) return [first];
  const end = due.findIndex((call) => !context.isParallel(call.toolName));
  return end === -1 ? due : due.slice(0, end);
}

/**
 * What is the next safe thing? Pure: decided from the state alone, so that two drivers that read the same log decide
 * the same.
 * @module
 */
import type { InboxEvent, OpenCall, SessionState, ToolCallPart } from "../sessions/state.ts";
import type { BudgetReached } from "./budgets.ts";
import { isContextFull } from "./context-size.ts";
import { isLoopTool } from "./loop-tools.ts";

export type StopReason =
  | { readonly type: "end_turn" }
  | { readonly type: "requires_action"; readonly event_ids: readonly string[] }
  | { readonly type: "retries_exhausted" }
  | { readonly type: "budget_reached" }
  | { readonly type: "refusal" };

export type Action =
  /** Input enters the transcript; the session runs. */
  | { readonly type: "consume"; readonly events: readonly InboxEvent[] }
  /** The start of a model call was recorded by a driver that is gone: count it as a failed attempt. */
  | { readonly type: "settle-model"; readonly startId: string }
  | { readonly type: "call-model" }
  /** Replace the head of the transcript by a summary. */
  | { readonly type: "compact" }
  /** Let a second model judge whether the outcome is reached. */
  | { readonly type: "evaluate-outcome" }
  | { readonly type: "decide-calls"; readonly calls: readonly ToolCallPart[] }
  /** A call that will not run, or whose result has arrived, gets its result. */
  | { readonly type: "settle-tools"; readonly calls: readonly OpenCall[] }
  /** Nobody has answered in time: that is the answer. */
  | { readonly type: "expire-approvals"; readonly calls: readonly OpenCall[] }
  /** Calls that the loop serves: they wait, or threads work on them. */
  | { readonly type: "park-calls"; readonly calls: readonly OpenCall[] }
  /** Look whether what these calls wait for has happened; once in a turn. */
  | { readonly type: "check-waits"; readonly calls: readonly OpenCall[] }
  /** More than one only where all of them may run beside each other. */
  | { readonly type: "run-tools"; readonly calls: readonly OpenCall[] }
  /** The turn is long: it continues as a new turn. */
  | { readonly type: "continue-later" }
  /** A failed model call is due again at `until`, milliseconds since the epoch. */
  | { readonly type: "wait-until"; readonly until: number }
  /** Nothing to do until something else happens that wakes the session by itself. */
  | { readonly type: "park"; readonly status: "running" | "rescheduling" }
  | { readonly type: "wait"; readonly reason: StopReason; readonly budget?: BudgetReached };

export interface TurnLimits {
  /** Model and tool calls of one turn; then it continues as another, so that a deploy never waits long. */
  readonly maximumStepsInTurn: number;
  /** Of one model call, over all models of the fallback list. */
  readonly maximumModelAttempts: number;
  /** How long a call waits for its approval, in milliseconds. */
  readonly approvalMs: number;
}

export interface DecideContext extends TurnLimits {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Model and tool calls that this turn has made. */
  readonly stepsInTurn: number;
  /** Whether this turn has looked at what parked calls wait for. */
  readonly waitsChecked: boolean;
  /** The budget that is reached; null while there is room. */
  readonly budget: BudgetReached | null;
  /** Tokens that the model takes. */
  readonly contextWindow: number;
  /** Whether calls of this tool may run beside others. */
  readonly isParallel: (toolName: string) => boolean;
}

export function decide(state: SessionState, context: DecideContext): Action {
  if (state.modelCall !== null) return { type: "settle-model", startId: state.modelCall.startId };
  const consumable = consumableInput(state);
  if (consumable.length > 0) return { type: "consume", events: consumable };
  if (state.undecided.length > 0) return { type: "decide-calls", calls: state.undecided };
  const settled = state.calls.filter((call) => call.status === "refused" || call.status === "arrived");
  if (settled.length > 0) return { type: "settle-tools", calls: settled };
  const runnable = runnableCalls(state, context);
  const [first] = runnable;
  if (first !== undefined) {
    // A started call has its effect behind it, or under way: it is settled, whatever the budget says.
    const held = first.status === "ready" ? spend(context) : tooLong(context);
    return held ?? { type: isLoopTool(first.toolName) ? "park-calls" : "run-tools", calls: runnable };
  }
  return decideParked(state, context) ?? decideModelCall(state, context);
}

/** While calls are open the model is not called. Null when none is. */
function decideParked(state: SessionState, context: DecideContext): Action | null {
  const waiting = state.calls.filter((call) => call.status === "waiting");
  if (waiting.length > 0 && !context.waitsChecked) return { type: "check-waits", calls: waiting };
  const expired = state.calls.filter(
    ({ status, decidedAt }) => status === "awaiting_approval" && decidedAt + context.approvalMs <= context.now,
  );
  if (expired.length > 0) return { type: "expire-approvals", calls: expired };
  const asking = state.calls
    .filter((call) => call.status === "awaiting_approval" || call.status === "awaiting_result")
    .map((call) => call.toolUseId);
  const delegated = state.calls.filter((call) => call.status === "delegated");
  const threads = state.threads.filter((thread) => delegated.some((call) => call.toolUseId === thread.toolUseId));
  const blocked = [...asking, ...threads.flatMap((thread) => thread.blockedOn)];
  if (threads.some((thread) => thread.status === "running")) return { type: "park", status: "running" };
  if (blocked.length > 0) return { type: "wait", reason: { type: "requires_action", event_ids: blocked } };
  if (delegated.length > 0) return { type: "park", status: "running" };
  return waiting.length > 0 ? { type: "park", status: "rescheduling" } : null;
}

function decideModelCall(state: SessionState, context: DecideContext): Action {
  if (state.halted === "refusal") return { type: "wait", reason: { type: "refusal" } };
  if (state.halted === "retries_exhausted") return { type: "wait", reason: { type: "retries_exhausted" } };
  const last = state.transcript.at(-1);
  if (state.halted !== null || last === undefined) return { type: "wait", reason: { type: "end_turn" } };
  const evaluates = last.role === "assistant";
  if (evaluates && state.outcome?.status !== "working") return { type: "wait", reason: { type: "end_turn" } };
  const failure = state.modelFailure;
  if (failure !== null) {
    const overflowed = failure.kinds.at(-1) === "context_overflow" && failure.purpose === "step";
    if (overflowed && state.compactionsInARow === 0) return spend(context) ?? { type: "compact" };
    if (!failure.retryable || failure.kinds.length >= context.maximumModelAttempts) {
      return { type: "wait", reason: { type: "retries_exhausted" } };
    }
    if (failure.retryAt > context.now) return { type: "wait-until", until: failure.retryAt };
  }
  const held = spend(context);
  if (held !== null) return held;
  if (evaluates) return { type: "evaluate-outcome" };
  // A summary that failed is tried again: calling the model instead would overflow again, and so on for ever.
  const due = failure?.purpose === "compaction" || isContextFull(state, context.contextWindow);
  return { type: due && state.compactionsInARow === 0 ? "compact" : "call-model" };
}

/** What stands before an effect that uses budget. */
function spend(context: DecideContext): Action | null {
  if (context.budget !== null) {
    return { type: "wait", reason: { type: "budget_reached" }, budget: context.budget };
  }
  return tooLong(context);
}

function tooLong(context: DecideContext): Action | null {
  return context.stepsInTurn >= context.maximumStepsInTurn ? { type: "continue-later" } : null;
}

/**
 * An interrupt and an answer to a call are taken at once. A message waits until no call is open: every call needs its
 * result before the next message of the user. One that was sent to be queued waits until the exchange has ended.
 */
function consumableInput(state: SessionState): readonly InboxEvent[] {
  const open = state.calls.length > 0 || state.undecided.length > 0;
  const interrupted = state.inbox.findIndex((entry) => entry.type === "interrupt");
  // A message that came after an interrupt starts the next exchange: it must not be consumed together with it.
  const reach = interrupted === -1 ? state.inbox : state.inbox.slice(0, interrupted + 1);
  const rested = !open && isRested(state);
  const steering = reach.filter((entry) => {
    if (entry.type === "outcome") return rested;
    if (entry.type !== "message") return true;
    return !open && (entry.delivery === "steer" || entry.stopped);
  });
  if (steering.length > 0 || !rested) return steering;
  // One exchange at a time: the first that queues, not all of them.
  return reach.slice(0, 1);
}

/** Whether the exchange has ended: nobody would call the model next. */
function isRested(state: SessionState): boolean {
  if (state.halted !== null) return true;
  const last = state.transcript.at(-1);
  return (last === undefined || last.role === "assistant") && state.outcome?.status !== "working";
}

/** The first calls that are due: parked ones together, those that only read together, every other one alone. */
function runnableCalls(state: SessionState, context: DecideContext): readonly OpenCall[] {
  const due = state.calls.filter((call) => call.status === "ready" || call.status === "started");
  const [first] = due;
  if (first === undefined) return [];
  const kindOf = (call: OpenCall) =>
    isLoopTool(call.toolName) ? "loop" : context.isParallel(call.toolName) ? "parallel" : "alone";
  const kind = kindOf(first);
  if (kind === "alone") return [first];
  const end = due.findIndex((call) => kindOf(call) !== kind);
  return end === -1 ? due : due.slice(0, end);
}

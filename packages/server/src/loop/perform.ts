/** Performs one action: intent, effect, result. The only impure part of the loop, and all of it through `Effects`. @module */
import type { LogEvent } from "../sessions/event.ts";
import type { SessionState } from "../sessions/state.ts";
import { callModel } from "./call-model.ts";
import { compact } from "./compact.ts";
import type { Action, TurnLimits } from "./decide.ts";
import type { Effects } from "./effects.ts";
import { expireApprovals } from "./expire-approvals.ts";
import { evaluateOutcome } from "./evaluate-outcome.ts";
import { lostEvents } from "./model-events.ts";
import { checkWaits, parkCalls } from "./park-calls.ts";
import { consume, park, wait, waitUntil } from "./rest.ts";
import { deniedCalls, refuseDenied } from "./denied-calls.ts";
import { decideCalls, runTools, settleTools } from "./run-tools.ts";

export type PerformOutcome =
  | { readonly done: true }
  /** Events are those appended since `state.seq`, or null when the log must be read again. */
  | { readonly done: false; readonly events: readonly LogEvent[] | null; readonly steps: number };

const again = (events: readonly LogEvent[] | null, steps = 0): PerformOutcome => ({ done: false, events, steps });

export async function perform(
  action: Action,
  state: SessionState,
  effects: Effects,
  limits: TurnLimits,
): Promise<PerformOutcome> {
  switch (action.type) {
    case "consume":
      return again(await consume(action.events, state, effects));
    case "settle-model":
      return again(await effects.append({ events: lostEvents(state, action.startId, effects) }));
    case "call-model":
      return again(await callModel(state, effects, limits), 1);
    case "compact":
      return again(await compact(state, effects, limits), 1);
    case "evaluate-outcome":
      if (state.outcome === null) return again(null);
      return again(await evaluateOutcome(state, state.outcome, effects, limits), 1);
    case "decide-calls":
      return again(await decideCalls(action.calls, state, effects));
    case "settle-tools":
      return again(await settleTools(action.calls, state, effects));
    case "expire-approvals":
      return again(await expireApprovals(action.calls, state, effects, limits));
    case "park-calls":
      if (deniedCalls(action.calls, effects).length > 0) return again(await refuseDenied(action.calls, state, effects));
      return again(await parkCalls(action.calls, state, effects), action.calls.length);
    case "check-waits":
      return again(await checkWaits(action.calls, state, effects));
    case "run-tools":
      if (deniedCalls(action.calls, effects).length > 0) return again(await refuseDenied(action.calls, state, effects));
      return again(await runTools(action.calls, state, effects), action.calls.length);
    case "continue-later":
      await effects.append({ events: [], wake: true });
      return { done: true };
    case "wait-until":
      return (await waitUntil(action.until, state, effects)) ? { done: true } : again(null);
    case "park":
      return (await park(action.status, state, effects)) ? { done: true } : again(null);
    case "wait":
      return (await wait(action, state, effects, limits)) ? { done: true } : again(null);
  }
}

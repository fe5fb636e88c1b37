/** Performs one action: intent, effect, result. The only impure part of the loop, and all of it through `Effects`. @module */
import type { Action, StopReason, TurnLimits } from "./decide.ts";
import type { Effects } from "./effects.ts";
import { callModel, lostModelCall } from "./call-model.ts";
import { decideCalls, runTools, settleTools } from "./run-tools.ts";
import type { LogEvent } from "../sessions/event.ts";
import { publicEvent, recordEvent } from "../sessions/event.ts";
import type { InboxEvent, SessionState } from "../sessions/state.ts";

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
      return again(await effects.append({ events: [lostModelCall(action.startId, effects.now())] }));
    case "call-model":
      return again(await callModel(state, effects, limits), 1);
    case "decide-calls":
      return again(await decideCalls(action.calls, state, effects));
    case "settle-tools":
      return again(await settleTools(action.calls, effects));
    case "run-tools":
      return again(await runTools(action.calls, state, effects), action.calls.length);
    case "continue-later":
      await effects.append({ events: [], wake: "now" });
      return { done: true };
    case "wait-until":
      return waitUntil(action.until, state, effects);
    case "wait":
      return wait(action.reason, state, effects);
  }
}

async function consume(events: readonly InboxEvent[], state: SessionState, effects: Effects) {
  const consumed = recordEvent("x.consumed", { event_ids: events.map((event) => event.id) });
  if (state.status === "running") return effects.append({ events: [consumed] });
  return effects.append({ events: [publicEvent("session.status_running", {}), consumed], status: "running" });
}

/** The wake is in the transaction of the event: a session that says "rescheduling" has one. */
async function waitUntil(until: number, state: SessionState, effects: Effects): Promise<PerformOutcome> {
  if (state.status === "rescheduling") {
    // This turn may be that very wake, come early by another clock than ours: without a second one none would follow.
    await effects.append({ events: [], wake: until });
    return { done: true };
  }
  const appended = await effects.append({
    events: [publicEvent("session.status_rescheduled", {})],
    status: "rescheduling",
    onlyAt: state.seq,
    wake: until,
  });
  return appended === null ? again(null) : { done: true };
}

/** Waits only if nothing was admitted since the state was read: the check and the event are one statement. */
async function wait(reason: StopReason, state: SessionState, effects: Effects): Promise<PerformOutcome> {
  if (state.status === "idle") {
    const missed = await effects.readAfter(state.seq);
    return missed.length === 0 ? { done: true } : again(null);
  }
  const appended = await effects.append({
    events: [publicEvent("session.status_idle", { stop_reason: reason, stop_details: stopDetails(reason) })],
    status: "idle",
    onlyAt: state.seq,
  });
  return appended === null ? again(null) : { done: true };
}

function stopDetails(reason: StopReason) {
  return reason.type === "refusal" ? { type: "refusal", category: null, explanation: null } : null;
}

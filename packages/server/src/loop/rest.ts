/**
 * How a turn begins with input and how it ends. Each ending is a check and an event in one statement: a session waits
 * only if nothing was admitted since its state was read.
 * @module
 */
import { type LogEvent, type NewEvent, publicEvent, recordEvent } from "../sessions/event.ts";
import type { InboxEvent, SessionState } from "../sessions/state.ts";
import type { Action, StopReason } from "./decide.ts";
import type { AppendRequest, Effects } from "./effects.ts";
import { abandonedEvaluation } from "./evaluate-outcome.ts";
import { runningEvents } from "./model-events.ts";
import { restEvents, resumedEvents } from "./thread-rest.ts";

export async function consume(
  events: readonly InboxEvent[],
  state: SessionState,
  effects: Effects,
): Promise<readonly LogEvent[] | null> {
  const interrupt = events.find((event) => event.type === "interrupt");
  // Before the record: a crash between them repeats the request, which a thread takes once.
  if (interrupt !== undefined) await effects.interruptThreads(workingThreads(state), interrupt.id);
  const abandoned =
    interrupt === undefined ? [] : abandonedEvaluation(state, "interrupted", "The user interrupted the evaluation.");
  const consumed = recordEvent("x.consumed", { event_ids: events.map((event) => event.id) });
  if (state.status === "running") return effects.append({ events: [...abandoned, consumed], joins: true });
  return effects.append({
    events: [...runningEvents(state), ...abandoned, consumed],
    status: "running",
    joins: true,
    ...forParent(state, (delegation) => resumedEvents(effects.sessionId, delegation, state.calls.length > 0)),
  });
}

function workingThreads(state: SessionState): readonly string[] {
  return state.calls
    .filter((call) => call.status === "delegated")
    .flatMap((call) => state.threads.filter((thread) => thread.toolUseId === call.toolUseId))
    .map((thread) => thread.threadId);
}

/** The wake is in the transaction of the event: a session that says "rescheduling" has one. False when input came. */
export async function waitUntil(until: number, state: SessionState, effects: Effects): Promise<boolean> {
  if (state.status === "rescheduling") {
    // This turn may be that very wake, come early by another clock than ours: without a second one none would follow.
    await effects.append({ events: [], alarms: [until] });
    return true;
  }
  const appended = await effects.append({
    events: [publicEvent("session.status_rescheduled", {})],
    status: "rescheduling",
    onlyAt: state.seq,
    alarms: [until],
  });
  return appended !== null;
}

/** What it waits for wakes it by itself. False when input came. */
export async function park(
  status: "running" | "rescheduling",
  state: SessionState,
  effects: Effects,
): Promise<boolean> {
  if (state.status === status) return (await effects.readAfter(state.seq)).length === 0;
  const type = status === "running" ? "session.status_running" : "session.status_rescheduled";
  return (await effects.append({ events: [publicEvent(type, {})], status, onlyAt: state.seq })) !== null;
}

/** False when input came. */
export async function wait(
  { reason, budget }: Extract<Action, { type: "wait" }>,
  state: SessionState,
  effects: Effects,
): Promise<boolean> {
  if (state.status === "idle") return (await effects.readAfter(state.seq)).length === 0;
  const details = stopDetails(reason);
  const extension = budget === undefined ? {} : { x_exoloop: { budget_reached: publicBudget(budget) } };
  const abandoned =
    reason.type === "retries_exhausted"
      ? abandonedEvaluation(state, "failed", "The evaluation could not be made.")
      : [];
  const idle = publicEvent("session.status_idle", { stop_reason: reason, stop_details: details, ...extension });
  const events: readonly NewEvent[] = [...abandoned, idle];
  const appended = await effects.append({
    events,
    status: "idle",
    onlyAt: state.seq,
    ...forParent(state, (delegation) => restEvents(effects.sessionId, delegation, state, reason, details)),
  });
  return appended !== null;
}

function forParent(
  state: SessionState,
  events: (delegation: NonNullable<SessionState["delegation"]>) => NonNullable<AppendRequest["parent"]>,
): Pick<AppendRequest, "parent"> {
  return state.delegation === null ? {} : { parent: events(state.delegation) };
}

function publicBudget({ scope, kind, limit, used }: NonNullable<Extract<Action, { type: "wait" }>["budget"]>) {
  const names = {
    tokens: "tokens",
    costMicros: "cost_micros_usd",
    wallSeconds: "wall_seconds",
    steps: "steps",
    sandboxSeconds: "sandbox_seconds",
  } as const;
  return { scope, kind: names[kind], limit, used };
}

function stopDetails(reason: StopReason) {
  return reason.type === "refusal" ? { type: "refusal", category: null, explanation: null } : null;
}

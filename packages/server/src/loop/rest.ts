/**
 * How a turn begins with input and how it ends. Each ending is a check and an event in one statement: a session waits
 * only if nothing was admitted since its state was read.
 * @module
 */
import { type LogEvent, type NewEvent, publicEvent, recordEvent } from "../sessions/event.ts";
import type { InboxEvent, SessionState } from "../sessions/state.ts";
import { writeBudgetLimit, writeUsage } from "../sessions/usage-snapshot.ts";
import { type BudgetReached, publicReached } from "./budgets.ts";
import type { Action, StopReason, TurnLimits } from "./decide.ts";
import type { AppendRequest, Effects } from "./effects.ts";
import { approvalAlarms } from "./expire-approvals.ts";
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
  if (interrupt !== undefined && !interrupt.alone) await effects.interruptThreads(workingThreads(state), interrupt.id);
  const abandoned =
    interrupt === undefined ? [] : abandonedEvaluation(state, "interrupted", "The user interrupted the evaluation.");
  const skills = await skillEvents(events, state, effects);
  const consumed = recordEvent("x.consumed", { event_ids: events.map((event) => event.id) });
  const stopped = interrupt !== undefined && interruptsWorker(interrupt, state) ? { stopsWorker: true } : {};
  if (state.status === "running")
    return effects.append({ events: [...abandoned, ...skills, consumed], joins: true, ...stopped });
  return effects.append({
    events: [...runningEvents(state), ...abandoned, ...skills, consumed],
    status: "running",
    joins: true,
    ...stopped,
    ...forParent(state, (delegation) => resumedEvents(effects.sessionId, delegation, state.calls.length > 0)),
  });
}

/**
 * With the message that begins a turn, and no other: what is said while the turn runs changes nothing of what it sees,
 * and no result of a call may have a note before it.
 */
async function skillEvents(
  events: readonly InboxEvent[],
  state: SessionState,
  effects: Effects,
): Promise<readonly NewEvent[]> {
  const begins = events.some((event) => (event.type === "message" || event.type === "outcome") && !event.stopped);
  if (!begins || state.calls.length > 0 || (state.status === "running" && state.transcript.length > 0)) return [];
  const reading = await effects.readSkills(state.skills?.revision ?? null);
  if (reading === null) return [];
  const { revision, text } = reading;
  if (text === null) return [recordEvent("x.skills", { revision })];
  const place = state.transcript.length === 0 ? "listing" : "note";
  return [recordEvent("x.skills", { revision, [place]: text })];
}

/** One worker serves the session and its threads: it is stopped only when all of them are. */
function interruptsWorker(interrupt: { readonly alone: boolean }, state: SessionState): boolean {
  if (state.delegation !== null) return false;
  const delegated = state.calls.some((call) => call.status === "delegated");
  if (delegated) return !interrupt.alone;
  return state.calls.some((call) => call.worker && call.status !== "settled");
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
  limits: TurnLimits,
): Promise<boolean> {
  const approvals = approvalAlarms(state, limits);
  if (state.status === "idle" && !asksForOthers(reason, state)) return restOn(budget, approvals, state, effects);
  const details = stopDetails(reason);
  const extension = budget === undefined ? {} : { x_exoloop: { budget_reached: publicBudget(budget) } };
  const abandoned =
    reason.type === "retries_exhausted" || reason.type === "refusal"
      ? abandonedEvaluation(state, "failed", "The evaluation could not be made.")
      : [];
  const idle = publicEvent("session.status_idle", { stop_reason: reason, stop_details: details, ...extension });
  // It has gone on in between, all of it in a thread.
  const resumed = state.status === "idle" ? runningEvents(state) : [];
  const events: readonly NewEvent[] = [...resumed, ...abandoned, ...usageEvents(state, effects), idle];
  const { alarms = [], ...held } = holdUntil(budget, state, effects.now());
  const appended = await effects.append({
    events,
    status: "idle",
    onlyAt: state.seq,
    ...worker(state),
    ...held,
    ...ringing([...alarms, ...approvals]),
    ...forParent(state, (delegation) => restEvents(effects.sessionId, delegation, state, reason, details)),
  });
  return appended !== null;
}

/**
 * A thread was answered and asks again, and both before this driver came: whoever reads what the session waits for must
 * not read the question that is answered.
 */
function asksForOthers(reason: StopReason, { askedFor }: SessionState): boolean {
  return reason.type === "requires_action" && reason.event_ids.join() !== askedFor.join();
}

/** A worker must come, unless one is there. */
function worker(state: SessionState): Pick<AppendRequest, "needsWorker"> {
  return state.calls.some((call) => call.worker && call.status === "awaiting_result") ? { needsWorker: true } : {};
}

function ringing(alarms: readonly number[]): Pick<AppendRequest, "alarms"> {
  return alarms.length === 0 ? {} : { alarms };
}

/** Woken while it rests: by input, by a budget that was raised, or by the begin of another day. */
async function restOn(
  budget: BudgetReached | undefined,
  approvals: readonly number[],
  state: SessionState,
  effects: Effects,
): Promise<boolean> {
  const { alarms = [] } = holdUntil(budget, state, null);
  // That very wake may have come early by another clock than ours, or another budget is reached by now.
  const again = [...alarms, ...approvals];
  const needed = worker(state);
  if (again.length > 0 || needed.needsWorker) await effects.append({ events: [], alarms: again, ...needed });
  return (await effects.readAfter(state.seq)).length === 0;
}

/** A shared budget begins anew somewhat after midnight: the clocks of two machines differ. Milliseconds. */
const afterResetMs = 2_000;

/** What is known of a shared budget is up to a second old. Milliseconds. */
const lookAgainMs = 2_000;

/**
 * A thread is not held: it has told its parent that its work ends here.
 * @param since When the rest begins; null when it has begun before. A shared budget that was raised just before is seen
 *   by a second look: whoever raised it has not found this session among those that rest.
 */
function holdUntil(
  budget: BudgetReached | undefined,
  state: SessionState,
  since: number | null,
): Pick<AppendRequest, "heldByBudget" | "alarms"> {
  if (budget === undefined || state.delegation !== null) return {};
  const look = since === null || budget.scope === "session" ? [] : [since + lookAgainMs];
  const reset = budget.resetsAt === undefined ? [] : [budget.resetsAt + afterResetMs];
  return { heldByBudget: true, alarms: [...look, ...reset] };
}

/** Once at each rest of a session: what it has used so far, its threads included. */
function usageEvents(state: SessionState, effects: Effects): readonly NewEvent[] {
  if (state.delegation !== null) return [];
  const usage = writeUsage(state.usage, effects.now());
  return [publicEvent("session.usage", { usage, budget: writeBudgetLimit(effects.budget.costMicros) })];
}

function forParent(
  state: SessionState,
  events: (delegation: NonNullable<SessionState["delegation"]>) => NonNullable<AppendRequest["parent"]>,
): Pick<AppendRequest, "parent"> {
  return state.delegation === null ? {} : { parent: events(state.delegation) };
}

function publicBudget({ scope, kind, limit, used, resetsAt }: BudgetReached) {
  const resets = resetsAt === undefined ? null : new Date(resetsAt).toISOString();
  return { scope, ...publicReached({ kind, limit, used }), resets_at: resets };
}

function stopDetails(reason: StopReason) {
  return reason.type === "refusal" ? { type: "refusal", category: null, explanation: null } : null;
}

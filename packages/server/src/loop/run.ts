/**
 * One turn: from a wake to a wait. Reads the log, decides, performs, until nothing more can be done without the world.
 * @module
 */
import type { LogEvent } from "../sessions/event.ts";
import { reduce, reduceLog } from "../sessions/reduce.ts";
import type { SessionState } from "../sessions/state.ts";
import { decide, type DecideContext, type TurnLimits } from "./decide.ts";
import type { Effects } from "./effects.ts";
import { joinAppends } from "./joined-appends.ts";
import { nextAttempt } from "./model-events.ts";
import { perform } from "./perform.ts";

export const defaultLimits: TurnLimits = {
  maximumStepsInTurn: 40,
  maximumModelAttempts: 6,
  approvalMs: 7 * 86_400_000,
};

/**
 * Drives the session until it must wait.
 * @throws ClaimLostError when another driver has taken over: then this one has written nothing since.
 */
export async function runTurn(
  given: Effects,
  isParallel: (toolName: string) => boolean,
  limits: TurnLimits = defaultLimits,
): Promise<SessionState> {
  const effects = joinAppends(given);
  let state = reduceLog(await effects.readAfter(0));
  let stepsInTurn = 0;
  let waitsChecked = false;
  for (;;) {
    const context: DecideContext = {
      ...limits,
      now: effects.now(),
      stepsInTurn,
      waitsChecked,
      isParallel,
      budget: await effects.reachedBudget(state),
      contextWindow: effects.contextWindow(nextAttempt(state, "step", effects).model),
    };
    const action = decide(state, context);
    const outcome = await perform(action, state, effects, limits);
    if (outcome.done) return state;
    stepsInTurn += outcome.steps;
    waitsChecked = action.type === "check-waits";
    state = await catchUp(state, outcome.events, effects);
  }
}

/**
 * Input that others admitted lies between the events we know and those we appended: the log is read in its order, from
 * its beginning where events were numbered in advance.
 */
async function catchUp(
  state: SessionState,
  appended: readonly LogEvent[] | null,
  effects: Effects,
): Promise<SessionState> {
  if (appended === null) return reduceLog(await effects.readAfter(0));
  const contiguous = appended.every((event, index) => event.seq === state.seq + index + 1);
  if (contiguous && appended.length > 0) return reduce(state, appended);
  const events = await effects.readAfter(state.seq);
  return events[0]?.seq === 1 ? reduceLog(events) : reduce(state, events);
}

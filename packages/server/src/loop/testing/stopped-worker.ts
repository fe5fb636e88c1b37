/** Workers that are stopped at an effect, and an engine that wakes nobody: the test itself drives what is left. @module */
import type { Engine } from "../../engine/engine.ts";
import type { Effects } from "../effects.ts";

/** Turns are driven by the test alone. */
export const nobody: Engine = {
  start: () => Promise.resolve(),
  wake: () => Promise.resolve(),
  wakeAt: () => Promise.resolve(),
  every: () => undefined,
  stop: () => Promise.resolve(),
};

export class WorkerStopped extends Error {}

export type Moment = "before" | "after";

/** The effects at which a worker may be stopped. */
export const gatedEffects = ["append", "callModel", "runTool"] as const;

/** Effects of a worker that is stopped at its effect number `at`. */
export function stopAt(at: number, moment: Moment) {
  let count = 0;
  return (effects: Effects): Effects => {
    const gate = async <Result>(effect: () => Promise<Result>): Promise<Result> => {
      count += 1;
      const here = count >= at;
      if (here && moment === "before") throw new WorkerStopped();
      const result = await effect();
      if (here) throw new WorkerStopped();
      return result;
    };
    return {
      ...effects,
      append: (request) => gate(() => effects.append(request)),
      callModel: (request, options) => gate(() => effects.callModel(request, options)),
      runTool: (call, options) => gate(() => effects.runTool(call, options)),
    };
  };
}

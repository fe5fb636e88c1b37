import { describe, expect, it } from "vitest";
import { initialState, type Usage } from "../sessions/state.ts";
import {
  type BudgetLimits,
  publicLimits,
  reachedBudget,
  readLimits,
  remainingBudget,
  tighterBudget,
} from "./budgets.ts";

const usage: Usage = {
  ...initialState.usage,
  input: 70,
  output: 20,
  cacheRead: 6,
  cacheWrite: 4,
  costMicros: 2_000_000,
  steps: 5,
  runningMs: 3_000,
  sandboxAwakeMs: 1_500,
};

describe("a budget", () => {
  it.each<[BudgetLimits, string | null]>([
    [{ tokens: 100 }, "tokens"],
    [{ tokens: 101 }, null],
    [{ costMicros: 2_000_000 }, "costMicros"],
    [{ costMicros: 2_000_001 }, null],
    [{ steps: 5 }, "steps"],
    [{ steps: 6 }, null],
    [{ wallSeconds: 3 }, "wallSeconds"],
    [{ wallSeconds: 3.1 }, null],
    [{ sandboxSeconds: 1.5 }, "sandboxSeconds"],
    [{ sandboxSeconds: 1.6 }, null],
    [{}, null],
    [{ tokens: 200, steps: 1 }, "steps"],
  ])("of %j is reached: %s", (limits, kind) => {
    expect(reachedBudget(usage, limits, 0)?.kind ?? null).toBe(kind);
  });

  it("of time counts the span that is open", () => {
    const running = { ...usage, runningSince: 10_000 };
    expect(reachedBudget(running, { wallSeconds: 5 }, 11_999)).toBeNull();
    expect(reachedBudget(running, { wallSeconds: 5 }, 12_000)).toMatchObject({ scope: "session", limit: 5, used: 5 });
  });

  it("leaves a rest, which is never below nothing, and the tighter of two is kept", () => {
    expect(remainingBudget(usage, { steps: 8, tokens: 10 }, 0)).toEqual({ steps: 3, tokens: 0 });
    expect(tighterBudget({ steps: 3, tokens: 5 }, { steps: 9, costMicros: 1 })).toEqual({
      steps: 3,
      tokens: 5,
      costMicros: 1,
    });
  });

  it("has one form in the API: dollars, and names with underscores", () => {
    const limits = { costMicros: 1_234_567, wallSeconds: 1.5, tokens: 7 };
    const shown = { cost_usd: 1.234567, wall_seconds: 1.5, tokens: 7 };
    expect(publicLimits(limits)).toEqual(shown);
    expect(readLimits(shown)).toEqual(limits);
    // Binary fractions lose nothing.
    expect(readLimits({ cost_usd: 0.1 + 0.2 })).toEqual({ costMicros: 300_000 });
  });
});

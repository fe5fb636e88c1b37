import { expect, test } from "vitest";
import { describeLimits, describeReached } from "./budget.ts";
import { describeEvent } from "./transcript.ts";

const used = { tokens: 12, cost_usd: 0.00002, wall_seconds: 3.25, steps: 4, sandbox_seconds: 0 };

test("limits are shown with what is used of each", () => {
  expect(describeLimits({ steps: 10, cost_usd: 2.5 }, used)).toBe("0.000020 of 2.5000 USD, 4 of 10 steps");
  expect(describeLimits({ wall_seconds: 60 }, null)).toBe("60 s of work");
  expect(describeLimits({}, used)).toBe("");
});

test("a session that a budget holds says which, how much, and what to do", () => {
  const reached = { scope: "session", kind: "steps", limit: 10, used: 10, resets_at: null };
  expect(describeReached(reached)).toBe(
    "the budget of the session is used up: 10 of 10 steps\n" +
      "Raise it and the session goes on where it stands: exoloop budgets set --session <session> --steps <number>",
  );
  const shared = { scope: "organization", kind: "cost_usd", limit: 5, used: 5.01, resets_at: "2030-02-01T00:00:00Z" };
  const text = describeReached(shared);
  expect(text).toContain("It begins anew at 2030-02-01T00:00:00Z");
  expect(text).toContain("exoloop budgets set --cost-usd <number>");
  const event = { type: "session.status_idle", stop_reason: { type: "budget_reached" } };
  expect(describeEvent({ ...event, x_exoloop: { budget_reached: reached } })?.text).toBe(describeReached(reached));
  expect(describeEvent(event)).toEqual({ kind: "failure", text: "the budget of this session is used up" });
});

test("what the server says is escaped", () => {
  const hostile = "\u001b[2J";
  const text = describeReached({ scope: hostile, kind: hostile, limit: "1", used: {}, resets_at: hostile });
  expect(text).not.toContain("\u001b");
});

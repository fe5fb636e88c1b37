import { createColors } from "picocolors";
import { expect, test } from "vitest";
import { type DemoReport, describeReport, shortcomings } from "./report.ts";

const good: DemoReport = {
  model: "scripted",
  tests: { before: "fail", after: "pass" },
  session: { id: "sesn_1", seconds: 10, turns: 1, steps: 17 },
  sandbox: {
    provider: "local",
    replaced: 1,
    awakeSeconds: 0.5,
    commands: 7,
    resumeMs: { p50: 0.9, max: 2.1, n: 7 },
    generation: 2,
  },
  tokens: { input: 10, output: 20, cacheRead: 5 },
  workspaceIntact: true,
  memoryNote: "note \u001b[31m",
  seconds: 12,
};

test("a demo that showed everything has no shortcoming", () => {
  expect(shortcomings(good)).toEqual([]);
});

test.each([
  { ...good, tests: { before: "pass", after: "pass" } as const },
  { ...good, tests: { before: "fail", after: "fail" } as const },
  { ...good, sandbox: { ...good.sandbox, replaced: 0 } },
  { ...good, sandbox: { ...good.sandbox, replaced: 2 } },
  { ...good, workspaceIntact: false },
])("each thing that must be shown is named when it was not (%#)", (report) => {
  expect(shortcomings(report)).toHaveLength(1);
});

test("the summary names every figure, and what the model wrote is escaped", () => {
  const text = describeReport(good, createColors(false)).join("\n");
  expect(text).toContain("fail before, pass after");
  expect(text).toContain("1 turn, 17 steps");
  expect(text).toContain("awake 0.50 s of 10.0 s (asleep 95 %)");
  expect(text).toContain("p50 0.9 ms, max 2.1 ms (7 times)");
  expect(text).toContain("10 in, 20 out, 5 from cache");
  expect(text).not.toContain("\u001b");
});

test("a session too short to measure divides by nothing", () => {
  const text = describeReport({ ...good, session: { ...good.session, seconds: 0 } }, createColors(false)).join("\n");
  expect(text).not.toMatch(/NaN|Infinity/);
});

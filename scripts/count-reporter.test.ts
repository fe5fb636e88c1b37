import { describe, expect, it } from "vitest";
import { type CountedModule, countTests } from "./count-reporter.ts";

function moduleOf(state: "passed" | "failed", tests: Readonly<Record<string, string>>): CountedModule {
  const all = Object.entries(tests).map(([fullName, outcome]) => ({ fullName, result: () => ({ state: outcome }) }));
  return { relativeModuleId: "x.test.ts", state: () => state, children: { allTests: () => all } };
}

describe("countTests", () => {
  it("counts tests by outcome and names what was skipped", () => {
    const module = moduleOf("failed", { a: "passed", b: "failed", c: "skipped", d: "passed" });
    expect(countTests([module])).toEqual({ passed: 2, failed: 1, skipped: ["x.test.ts: c"] });
  });

  it("counts a file that failed outside of its tests as one failure", () => {
    expect(countTests([moduleOf("failed", {})])).toEqual({ passed: 0, failed: 1, skipped: [] });
    expect(countTests([moduleOf("failed", { a: "passed" })])).toEqual({ passed: 1, failed: 1, skipped: [] });
  });

  it("adds up files, and takes a test that never ran for skipped", () => {
    const modules = [moduleOf("passed", { a: "passed" }), moduleOf("passed", { b: "pending" })];
    expect(countTests(modules)).toEqual({ passed: 1, failed: 0, skipped: ["x.test.ts: b"] });
  });
});

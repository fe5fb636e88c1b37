/** A reporter for vitest that leaves the numbers of a run in a file, for `scripts/test.ts`. @module */
import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

export interface TestCounts {
  readonly passed: number;
  /** Tests, and files that failed before any of their tests did. */
  readonly failed: number;
  /** Full names. */
  readonly skipped: readonly string[];
}

/** What is needed of vitest's TestModule. */
export type CountedModule = Pick<TestModule, "relativeModuleId" | "state"> & {
  readonly children: { allTests(): Iterable<{ readonly fullName: string; result(): { readonly state: string } }> };
};

/** @example countTests(modules) // { passed: 12, failed: 0, skipped: [] } */
export function countTests(modules: readonly CountedModule[]): TestCounts {
  let [passed, failed] = [0, 0];
  const skipped: string[] = [];
  for (const module of modules) {
    const tests = [...module.children.allTests()].map((test) => ({ name: test.fullName, state: test.result().state }));
    passed += tests.filter(({ state }) => state === "passed").length;
    const failures = tests.filter(({ state }) => state === "failed").length;
    failed += failures === 0 && module.state() === "failed" ? 1 : failures;
    // One that never came to run counts as skipped: so does every test of a file that could not be loaded.
    const rest = tests.filter(({ state }) => state !== "passed" && state !== "failed");
    skipped.push(...rest.map(({ name }) => `${module.relativeModuleId}: ${name}`));
  }
  return { passed, failed, skipped };
}

/** Writes the counts as JSON to `path` when the run has ended. */
export function createCountReporter(path: string): Reporter {
  return { onTestRunEnd: (modules) => writeFileSync(path, JSON.stringify(countTests(modules))) };
}

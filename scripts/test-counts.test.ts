import { describe, expect, it } from "vitest";
import { countTests } from "./test-counts.ts";

const test = (fullName: string, status: string) => ({ fullName, status });

describe("countTests", () => {
  it("counts tests by outcome and names what was skipped", () => {
    const assertionResults = [test("a", "passed"), test("b", "failed"), test("c", "skipped"), test("d", "passed")];
    const counts = countTests({ testResults: [{ name: "x.test.ts", status: "failed", assertionResults }] });
    expect(counts).toEqual({ passed: 2, failed: 1, skipped: ["x.test.ts: c"] });
  });

  it("counts a file that could not be loaded as one failure", () => {
    const testResults = [{ name: "x.test.ts", status: "failed", assertionResults: [] }];
    expect(countTests({ testResults })).toEqual({ passed: 0, failed: 1, skipped: [] });
  });

  it("refuses a report that it does not know", () => {
    expect(() => countTests({ files: [] })).toThrow(/another form/);
  });
});

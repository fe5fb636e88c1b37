import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allCases } from "@exoloop/sandbox/conformance/all-cases";
import { runConformance } from "@exoloop/sandbox/conformance/runner";
import { type TestHost, openTestHost } from "./test-host.ts";

let test: TestHost;
beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test.close());

describe("the local provider", () => {
  it.each(allCases)("$id: $sentence", async (each) => {
    const { ok, results } = await runConformance(test.provider, { cases: [each] });
    expect(ok, results[0]?.detail ?? "").toBe(true);
  });
});

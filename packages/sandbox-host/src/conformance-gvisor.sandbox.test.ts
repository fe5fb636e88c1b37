import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allCases } from "@exoloop/sandbox/conformance/all-cases";
import { runConformance } from "@exoloop/sandbox/conformance/runner";
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { findRunsc } from "./machine-programs.ts";
import { type TestHost, openTestHost } from "./test-host.ts";

const missing = findRunsc() === null;
if (missing) process.stderr.write("gVisor is not tested: node scripts/setup/gvisor.mjs fetches it\n");

let test: TestHost;
let provider: SandboxProvider;
beforeAll(async () => {
  if (missing) return;
  test = await openTestHost();
  provider = await createLocalProvider({ socketPath: test.host.socketPath, runtime: "gvisor" });
});
afterAll(async () => {
  await provider?.close();
  await test?.close();
});

describe.skipIf(missing)("the gVisor provider", () => {
  it.each(allCases)("$id: $sentence", async (each) => {
    const { ok, results } = await runConformance(provider, { cases: [each] });
    expect(ok, results[0]?.detail ?? "").toBe(true);
  });
});

import { expect, it } from "vitest";
import { createMemoryProvider } from "../providers/memory/provider.ts";
import type { ConformanceCase } from "./conformance-case.ts";
import { runConformance } from "./runner.ts";

const base = { level: "MUST", capability: null, sentence: "It holds." } as const;
const holds = () => Promise.resolve();
const fails = () => Promise.reject(new Error("no"));

async function judge(...cases: readonly ConformanceCase[]) {
  const { ok, results } = await runConformance(createMemoryProvider(), { cases, timeoutMs: 100 });
  return [ok, ...results.map(({ outcome, detail }) => `${outcome}: ${detail}`)];
}

it("fails for a MUST, and for a SHOULD only where its capability is declared", async () => {
  expect(await judge({ ...base, id: "a.a", run: holds })).toEqual([true, "passed: null"]);
  expect(await judge({ ...base, id: "a.a", run: fails })).toEqual([false, "failed: Error: no"]);
  expect(await judge({ ...base, id: "a.a", level: "SHOULD", run: fails })).toEqual([true, "failed: Error: no"]);
  const declared = { ...base, id: "a.a", level: "SHOULD", capability: "terminal", run: fails } as const;
  expect(await judge(declared)).toEqual([false, "failed: Error: no"]);
});

it("tells what works without being declared, and does not try what would do harm", async () => {
  const absent = { ...base, id: "a.a", capability: "ports" } as const;
  expect(await judge({ ...absent, run: fails })).toEqual([true, "not_applicable: null"]);
  const [ok, told] = await judge({ ...absent, run: holds });
  expect([ok, told]).toEqual([true, "not_applicable: it holds, although the capability is declared absent"]);
  expect(await judge({ ...absent, harmfulWithout: true, run: holds })).toEqual([true, "not_applicable: null"]);
});

it("ends a case that does not end, and destroys what cases made", async () => {
  const provider = createMemoryProvider();
  const run: ConformanceCase["run"] = async (context) => {
    await context.create();
    await new Promise(() => {});
  };
  const report = await runConformance(provider, { cases: [{ ...base, id: "a.a", run }], timeoutMs: 50 });
  expect(report.results[0]?.detail).toContain("did not end within 50 ms");
  expect(await provider.list()).toEqual([]);
});

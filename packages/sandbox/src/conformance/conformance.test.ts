import { expect, it } from "vitest";
import { createMemoryProvider } from "../providers/memory/provider.ts";
import { allCases } from "./all-cases.ts";
import { runConformance } from "./runner.ts";

it("holds for the provider in memory", async () => {
  const report = await runConformance(createMemoryProvider(), { cases: allCases, parallel: 16, timeoutMs: 10_000 });
  const told = report.results.filter(({ outcome, detail }) => outcome === "failed" || detail !== null);
  expect(told.map(({ id, detail }) => `${id}: ${detail}`)).toEqual([]);
  expect(report.ok).toBe(true);
});

it("has cases with identifiers of their own, each with a sentence", () => {
  expect(new Set(allCases.map(({ id }) => id)).size).toBe(allCases.length);
  expect(allCases.filter(({ id, sentence }) => !/^[a-z]+\.[a-z0-9-]+$/.test(id) || !sentence.endsWith("."))).toEqual(
    [],
  );
  expect(allCases.length).toBeGreaterThanOrEqual(60);
});

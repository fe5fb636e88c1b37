import { expect, it } from "vitest";
import { allCases } from "@exoloop/sandbox/conformance/all-cases";
import { readProvidersDocument } from "./document.ts";
import { readStoredResults } from "./stored-results.ts";

it("is what the stored results and the cases make it", () => {
  const { found, expected } = readProvidersDocument();
  expect(found, "node scripts/conformance/document.ts --write").toBe(expected);
});

it("shows no provider that fails what it must or declares", () => {
  const required = new Set(
    allCases.filter(({ level, capability }) => level === "MUST" || capability !== null).map(({ id }) => id),
  );
  const failed = readStoredResults().flatMap(({ provider, results }) =>
    Object.entries(results).flatMap(([id, { outcome }]) =>
      outcome === "failed" && required.has(id) ? [`${provider}: ${id}`] : [],
    ),
  );
  expect(failed).toEqual([]);
});

import { expect, it } from "vitest";
import { readProvidersDocument } from "./document.ts";
import { readStoredResults } from "./stored-results.ts";

it("is what the stored results and the cases make it", () => {
  const { found, expected } = readProvidersDocument();
  expect(found, "node scripts/conformance/document.ts --write").toBe(expected);
});

it("shows no provider that fails", () => {
  const failed = readStoredResults().flatMap(({ provider, results }) =>
    Object.entries(results).flatMap(([id, { outcome }]) => (outcome === "failed" ? [`${provider}: ${id}`] : [])),
  );
  expect(failed).toEqual([]);
});

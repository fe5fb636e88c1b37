/** What each provider did in the conformance suite, as `docs/providers` keeps it. @module */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxCapabilities } from "@exoloop/sandbox/contract";
import type { CaseResult, ConformanceReport } from "@exoloop/sandbox/conformance/runner";

export interface StoredResults {
  readonly provider: string;
  /** A day: `2026-01-31`. */
  readonly recorded: string;
  readonly system: string;
  readonly capabilities: SandboxCapabilities;
  /** By the case's identifier. */
  readonly results: Readonly<Record<string, Pick<CaseResult, "outcome" | "detail">>>;
}

const directory = join(import.meta.dirname, "../../docs/providers");

export function readStoredResults(): readonly StoredResults[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
  return names.toSorted().map((name) => JSON.parse(readFileSync(join(directory, name), "utf8")) as StoredResults);
}

export function storeResults(provider: string, { capabilities, results }: ConformanceReport): void {
  const stored: StoredResults = {
    provider,
    recorded: new Date().toISOString().slice(0, 10),
    system: `${process.platform} ${process.arch}`,
    capabilities,
    results: Object.fromEntries(results.map(({ id, outcome, detail }) => [id, { outcome, detail }])),
  };
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${provider}.json`), `${JSON.stringify(stored, null, 2)}\n`);
}

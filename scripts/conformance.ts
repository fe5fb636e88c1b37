/**
 * `npm run conformance -- PROVIDER [--json] [--write] [--case PREFIX]`: what a sandbox provider holds of the contract.
 * Exit code 1 when a MUST or a declared capability does not hold, 2 for bad arguments. `--write` keeps the results and
 * writes docs/providers.md.
 * @module
 */
import { parseArgs } from "node:util";
import { allCases } from "@exoloop/sandbox/conformance/all-cases";
import { type CaseResult, type ConformanceReport, runConformance } from "@exoloop/sandbox/conformance/runner";
import type { ConformanceCase } from "@exoloop/sandbox/conformance/conformance-case";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { writeProvidersDocument } from "./conformance/document.ts";
import { type OpenProvider, type ProviderName, openProvider, providerNames } from "./conformance/open-provider.ts";
import { storeResults } from "./conformance/stored-results.ts";

const usage = `Usage: npm run conformance -- ${providerNames.join("|")} [--json] [--write] [--case PREFIX]\n`;

const words = { passed: "ok  ", failed: "FAIL", not_applicable: "–   " } as const;

function describe({ id, outcome, level, detail, milliseconds }: CaseResult): string {
  const note = detail === null ? "" : `\n      ${detail}`;
  return `${words[outcome]}  ${id.padEnd(36)} ${level.padEnd(6)} ${String(milliseconds).padStart(6)} ms${note}\n`;
}

function summarize({ results, ok }: ConformanceReport): string {
  const count = (outcome: CaseResult["outcome"]) => results.filter((result) => result.outcome === outcome).length;
  const undeclared = results.filter(({ outcome, detail }) => outcome === "not_applicable" && detail !== null).length;
  const more = undeclared === 0 ? "" : `, ${undeclared} hold without being declared`;
  const counts = `${count("passed")} hold, ${count("failed")} fail, ${count("not_applicable")} do not apply${more}`;
  return `${counts}. ${ok ? "It conforms." : "It does not conform."}\n`;
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        write: { type: "boolean", default: false },
        case: { type: "string", default: "" },
      },
    });
    const name = providerNames.find((each) => each === positionals[0]);
    const cases = allCases.filter(({ id }) => id.startsWith(values.case));
    // Results of a part would stand in for the whole.
    if (name === undefined || positionals.length > 1 || cases.length === 0 || (values.write && values.case !== ""))
      return null;
    return { ...values, name, cases };
  } catch {
    return null;
  }
}

async function judge(
  cases: readonly ConformanceCase[],
  { provider, close }: OpenProvider,
  onResult: (result: CaseResult) => void,
): Promise<ConformanceReport> {
  try {
    return await runConformance(provider, { cases, onResult });
  } finally {
    await close();
  }
}

async function main(): Promise<number> {
  const selected = readArguments();
  if (selected === null) {
    process.stderr.write(usage);
    return 2;
  }
  const name: ProviderName = selected.name;
  const opened = await openProvider(name).catch((error: unknown) => {
    if (!(error instanceof SandboxUnavailableError)) throw error;
    process.stderr.write(`${name} cannot be had here: ${error.message}. ${error.remedy}\n`);
    return null;
  });
  if (opened === null) return 1;
  const onResult = (result: CaseResult): void => {
    if (!selected.json) process.stdout.write(describe(result));
  };
  const report = await judge(selected.cases, opened, onResult);
  process.stdout.write(selected.json ? `${JSON.stringify(report, null, 2)}\n` : summarize(report));
  if (selected.write) {
    storeResults(name, report);
    writeProvidersDocument();
  }
  return report.ok ? 0 : 1;
}

process.exitCode = await main();

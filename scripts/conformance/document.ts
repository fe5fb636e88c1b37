/**
 * docs/providers.md: which provider can do what, made of the conformance cases and the stored results.
 *
 * Regenerate after a change of a case: `node scripts/conformance/document.ts --write`
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allCases } from "@exoloop/sandbox/conformance/all-cases";
import { type StoredResults, readStoredResults } from "./stored-results.ts";

const documentPath = join(import.meta.dirname, "../../docs/providers.md");

const marks = { passed: "yes", failed: "**no**", not_applicable: "–" } as const;

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [row(head), `|${"---|".repeat(head.length)}`, ...rows.map(row)];
}

function capabilityTable(stored: readonly StoredResults[]): string[] {
  const names = [...new Set(stored.flatMap(({ capabilities }) => Object.keys(capabilities)))];
  const show = (value: unknown) => (value === true ? "yes" : value === false ? "no" : String(value));
  const cell = (results: StoredResults, name: string) =>
    show(Object.entries(results.capabilities).find(([key]) => key === name)?.[1]);
  return table(
    ["capability", ...stored.map(({ provider }) => provider)],
    names.map((name) => [`\`${name}\``, ...stored.map((results) => cell(results, name))]),
  );
}

function caseTable(subject: string, stored: readonly StoredResults[]): string[] {
  const cases = allCases.filter(({ id }) => id.startsWith(`${subject}.`));
  const rows = cases.map(({ id, level, capability, sentence }) => {
    const needs = capability === null ? "" : ` Needs \`${capability}\`.`;
    const cells = stored.map(({ results }) => {
      const outcome = results[id]?.outcome;
      return outcome === undefined ? "not run" : marks[outcome];
    });
    return [`\`${id}\``, level, `${sentence.replaceAll("|", "\\|")}${needs}`, ...cells];
  });
  return table(["case", "level", "what holds", ...stored.map(({ provider }) => provider)], rows);
}

function failures({ provider, results }: StoredResults): string[] {
  const told = Object.entries(results).filter(([, { detail }]) => detail !== null);
  return told.map(([id, { detail }]) => `- ${provider}, \`${id}\`: ${detail?.replaceAll("\n", " ")}`);
}

/** What the document holds now, and what it should hold. */
export function readProvidersDocument(): { readonly found: string; readonly expected: string } {
  const stored = readStoredResults();
  const subjects = [...new Set(allCases.map(({ id }) => id.split(".")[0] ?? ""))];
  const told = stored.flatMap(failures);
  const lines = [
    "# Sandbox providers",
    "",
    "Generated from the conformance cases and the results in `docs/providers`; the test",
    "`scripts/conformance/document.test.ts` fails when it is out of date.",
    "",
    "```",
    "npm run conformance -- local            # try a provider on this machine",
    "npm run conformance -- local --write    # keep the results, and write this page",
    "```",
    "",
    `${allCases.length} cases. yes: it holds. **no**: it does not. –: the capability that it needs is declared absent.`,
    "",
    ...stored.map(({ provider, recorded, system }) => `- ${provider}: ${recorded}, ${system}`),
    "",
    "## Capabilities",
    "",
    ...capabilityTable(stored),
    ...subjects.flatMap((subject) => ["", `## ${subject}`, "", ...caseTable(subject, stored)]),
    ...(told.length === 0 ? [] : ["", "## What was found", "", ...told]),
    "",
  ];
  return { found: readFileSync(documentPath, "utf8"), expected: lines.join("\n") };
}

export function writeProvidersDocument(): void {
  writeFileSync(documentPath, "", { flag: "a" });
  writeFileSync(documentPath, readProvidersDocument().expected);
}

if (import.meta.main && process.argv.includes("--write")) writeProvidersDocument();

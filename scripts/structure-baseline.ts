/**
 * The baseline of the structure check: what is over a limit for a written reason. It may only shrink: an entry that is
 * no longer needed or larger than what it excuses fails the check, and so does one that the last commit did not have.
 * @module
 */
import { execFileSync } from "node:child_process";
import type { Finding } from "./finding.ts";
import type { StructureFinding } from "./structure-rules.ts";

export interface BaselineEntry {
  readonly rule: string;
  readonly path: string;
  /** Of the function. */
  readonly name?: string;
  /** What is tolerated; what is there must be exactly as long. */
  readonly lines: number;
  readonly reason: string;
}

export const baselinePath = "scripts/structure-baseline.json";
const why = "The baseline may only shrink.";
const leastReason = 20;

/** @throws Error when the text is not a baseline. */
export function parseBaseline(text: string): BaselineEntry[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value) || !value.every(isEntry)) {
    throw new Error(
      `${baselinePath}: every entry needs rule, path, lines and a reason of at least ${leastReason} letters`,
    );
  }
  return value;
}

function isEntry(value: unknown): value is BaselineEntry {
  if (typeof value !== "object" || value === null) return false;
  const { rule, path, lines, reason } = { rule: null, path: null, lines: null, reason: null, ...value };
  const texts = typeof rule === "string" && typeof path === "string" && typeof lines === "number";
  return texts && typeof reason === "string" && String(reason).length >= leastReason;
}

function keyOf(entry: { readonly rule: string; readonly path: string; readonly name?: string }): string {
  return `${entry.rule} ${entry.path} ${entry.name ?? ""}`;
}

/** The findings that no entry excuses, and what is wrong with the entries. `earlier`: the last commit's, if there is one. */
export function applyBaseline(
  findings: readonly StructureFinding[],
  baseline: readonly BaselineEntry[],
  earlier: readonly BaselineEntry[] | null,
): Finding[] {
  const found = new Map(findings.map((finding) => [keyOf(finding), finding]));
  const entries = new Map(baseline.map((entry) => [keyOf(entry), entry]));
  const unexcused = findings.filter((finding) => {
    const entry = entries.get(keyOf(finding));
    return entry === undefined || finding.lines === undefined || finding.lines > entry.lines;
  });
  return [...unexcused, ...staleEntries(baseline, found), ...grownEntries(baseline, earlier)];
}

function staleEntries(baseline: readonly BaselineEntry[], found: ReadonlyMap<string, StructureFinding>): Finding[] {
  return baseline.flatMap((entry) => {
    const where = baselinePath;
    const lines = found.get(keyOf(entry))?.lines;
    if (lines === undefined) {
      return [
        {
          rule: "baseline-stale",
          where,
          what: `${keyOf(entry)} is within the limit now`,
          why,
          fix: "Remove the entry.",
        },
      ];
    }
    if (lines >= entry.lines) return [];
    return [
      {
        rule: "baseline-stale",
        where,
        what: `${keyOf(entry)} has only ${lines} lines now`,
        why,
        fix: `Lower "lines" to ${lines}.`,
      },
    ];
  });
}

function grownEntries(baseline: readonly BaselineEntry[], earlier: readonly BaselineEntry[] | null): Finding[] {
  if (earlier === null) return [];
  const before = new Map(earlier.map((entry) => [keyOf(entry), entry.lines]));
  return baseline
    .filter((entry) => entry.lines > (before.get(keyOf(entry)) ?? 0))
    .map((entry) => {
      const what = `${keyOf(entry)} was not tolerated at ${entry.lines} lines by the last commit`;
      return { rule: "baseline-grown", where: baselinePath, what, why, fix: "Split the file or the function instead." };
    });
}

/** The baseline before this change: of HEAD, or of its parent where HEAD has the one at hand. Null when there is none. */
export function earlierBaseline(root: string, current: string): BaselineEntry[] | null {
  for (const revision of ["HEAD", "HEAD^"]) {
    try {
      const text = execFileSync("git", ["show", `${revision}:${baselinePath}`], {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
      if (text !== current) return parseBaseline(text);
    } catch {
      // Not a repository, a shallow clone, or a commit from before there was a baseline.
      return null;
    }
  }
  return null;
}

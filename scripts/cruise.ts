/** Who imports whom, held against the rules of .dependency-cruiser.mjs. @module */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "./finding.ts";

const root = join(import.meta.dirname, "..");
const program = join(root, "node_modules/.bin/depcruise");
const folders = ["packages", "scripts", "bench", "examples"];

export interface Cruise {
  readonly findings: readonly Finding[];
  readonly files: number;
}

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
  readonly cycle?: readonly { readonly name: string }[];
}

interface Summary {
  readonly violations: readonly Violation[];
  readonly totalCruised: number;
  readonly ruleSetUsed: { readonly forbidden: readonly { readonly name: string; readonly comment: string }[] };
}

/** Follows all imports below `directory`. @throws Error when the tool itself fails. */
export async function cruise(directory: string): Promise<Cruise> {
  const config = join(root, ".dependency-cruiser.mjs");
  const targets = folders.filter((folder) => existsSync(join(directory, folder)));
  const args = [program, "--config", config, "--output-type", "json", ...targets];
  const output = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, args, { cwd: directory, maxBuffer: 256 << 20 }, (error, stdout, stderr) => {
      if (stdout.startsWith("{")) resolve(stdout);
      else reject(new Error(stderr.trim() || stdout.trim() || error?.message));
    });
  });
  const { violations, totalCruised, ruleSetUsed } = readSummary(JSON.parse(output));
  const comments = new Map(ruleSetUsed.forbidden.map(({ name, comment }) => [name, comment]));
  return { files: totalCruised, findings: violations.map((violation) => toFinding(violation, comments)) };
}

function readSummary(value: unknown): Summary {
  if (typeof value === "object" && value !== null && "summary" in value && isSummary(value.summary))
    return value.summary;
  throw new Error("dependency-cruiser answered in a form that is not known: was it upgraded?");
}

function isSummary(value: unknown): value is Summary {
  return typeof value === "object" && value !== null && "violations" in value && Array.isArray(value.violations);
}

function toFinding({ from, to, rule, cycle }: Violation, comments: ReadonlyMap<string, string>): Finding {
  // A rule's comment reads `Reason. → Remedy.`
  const [why = "", fix = ""] = comments.get(rule.name)?.split(" → ") ?? [];
  const way = cycle === undefined ? to : cycle.map(({ name }) => name).join(" → ");
  return { rule: rule.name, where: from, what: `imports ${way}`, why, fix };
}

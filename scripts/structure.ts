/**
 * The structure check: names, lengths and first words of all sources.
 *
 *   node scripts/structure.ts
 * @module
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { report } from "./finding.ts";
import { applyBaseline, baselinePath, earlierBaseline, parseBaseline } from "./structure-baseline.ts";
import { inspectFile, inspectPrograms } from "./structure-rules.ts";

const root = join(import.meta.dirname, "..");
const sources = ["{packages,scripts,bench,examples}/**/*.{ts,tsx,mjs,c,h}", "*.{ts,mjs}", ".*.mjs"];
/** Not ours to shape: installed, generated, or the repository that the demo's agent repairs. */
const excluded = /(^|\/)(node_modules|build|fixtures|generated|migrations|seed)\//;

const paths = [
  ...new Set(sources.flatMap((pattern) => globSync(pattern, { cwd: root, exclude: ["**/node_modules/**"] }))),
]
  .filter((path) => !excluded.test(path))
  .sort();
const files = paths.map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
const findings = [...files.flatMap(({ path, text }) => inspectFile(path, text)), ...inspectPrograms(files)];
const baseline = readFileSync(join(root, baselinePath), "utf8");
const entries = parseBaseline(baseline);
report(
  applyBaseline(findings, entries, earlierBaseline(root, baseline)),
  `${paths.length} files, ${entries.length} tolerated`,
);

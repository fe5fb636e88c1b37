/**
 * The crash table as ARCHITECTURE.md shows it.
 *
 * Regenerate after a change: `node packages/server/src/loop/crash-table-document.ts --write`
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crashTable, type CrashEffect, type CrashMoment } from "./crash-table.ts";

const documentPath = join(import.meta.dirname, "../../../../ARCHITECTURE.md");
const [begin, end] = ["<!-- crash table -->", "<!-- end of crash table -->"];

function writeTable(): string {
  const effects = [...new Set(crashTable.map((row) => row.effect))];
  const cell = (effect: CrashEffect, moment: CrashMoment) =>
    crashTable.find((row) => row.effect === effect && row.moment === moment)?.next ?? "–";
  const lines = effects.map((effect) => {
    const proof = crashTable.find((row) => row.effect === effect)?.proof ?? [];
    const cells = [cell(effect, "before"), cell(effect, "during"), cell(effect, "after"), proof.join(", ")];
    return `| \`${effect}\` | ${cells.join(" | ")} |`;
  });
  return [
    "| effect | lost before it | lost during it | lost after it | proved |",
    "|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

/** What the document holds now, and what it should hold. */
export function readCrashDocument(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(documentPath, "utf8");
  const [first, last] = [found.indexOf(begin), found.indexOf(end)];
  if (first === -1 || last < first) throw new Error(`ARCHITECTURE.md lacks ${begin} or ${end}`);
  return { found, expected: `${found.slice(0, first)}${begin}\n${writeTable()}\n${found.slice(last)}` };
}

if (import.meta.main && process.argv.includes("--write")) writeFileSync(documentPath, readCrashDocument().expected);

/** A table of escaped cells, cut to the terminal where there is one. @module */
import { escapeToLine } from "./escape.ts";
import { cutLine, displayWidth, padLine } from "./measure.ts";
import { colorsFor, type Terminal, widthOf } from "./terminal.ts";

const widestCell = 40;

/** Lines of a table; the last column takes what is left. */
export function tableLines(
  header: readonly string[],
  cells: readonly (readonly string[])[],
  terminal: Pick<Terminal, "output" | "environment">,
): string[] {
  const { output, environment } = terminal;
  const rows = cells.map((row) => row.map(escapeToLine));
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => Math.min(widestCell, displayWidth(row[column] ?? "")))),
  );
  const lineOf = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : padLine(cutLine(cell, widths[column] ?? 0), widths[column] ?? 0),
      )
      .join("  ");
  const fit = (line: string) => (output.isTTY === true ? cutLine(line, widthOf(output)) : line).trimEnd();
  return [colorsFor(output, environment).dim(fit(lineOf(header))), ...rows.map((row) => fit(lineOf(row)))];
}

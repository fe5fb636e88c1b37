/** A bench's result for people. @module */
import type { BenchResult, Row } from "./bench.ts";

const headings = ["", "value", "goal", "", "p50", "p95", "p99", "n", "peer", "ratio"];

/** Lines without a line break at their end. */
export function describeResult({ bench, commit, machine, rows, notes, ok }: BenchResult): string[] {
  const gib = (machine.memoryBytes / 2 ** 30).toFixed(0);
  const { cores, processor, kernel, node, load } = machine;
  const cells = [headings, ...rows.map(describeRow)];
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const missed = rows.filter((row) => !row.ok).map((row) => row.id);
  return [
    `${bench} at ${commit ?? "no commit"}: ${cores} × ${processor}, ${gib} GiB, Linux ${kernel}, Node.js ${node}, load ${load.toFixed(1)}`.replace(
      "Linux ",
      process.platform === "linux" ? "Linux " : "",
    ),
    "",
    ...cells.map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    ),
    "",
    ...(notes.length === 0 ? [] : [...notes, ""]),
    ok ? "Every goal is met." : `Missed: ${missed.join(", ")}`,
  ];
}

function describeRow(row: Row): string[] {
  const figure = (value: number | null) => (value === null ? "–" : String(value));
  const verdict = row.goal === null ? "" : row.ok ? "ok" : "MISSED";
  const [value, goal] = [`${row.value} ${row.unit}`, row.goal === null ? "–" : `${row.goal} ${row.unit}`];
  return [row.id, value, goal, verdict, ...[row.p50, row.p95, row.p99, row.n, row.peer, row.ratio].map(figure)];
}

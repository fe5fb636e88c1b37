/** A difference of two texts for people to judge: whole lines, each change with the lines around it. Pure. @module */
import { diffIndices } from "node-diff3";

const contextLines = 3;
/** Pairs of lines that a comparison may have to weigh; beyond, all is shown as replaced. */
const mostPairs = 2_000_000;

interface Change {
  /** Index of the first line, and how many there are, before and after. */
  readonly before: readonly [number, number];
  readonly after: readonly [number, number];
}

/**
 * In the form of `diff -u`, without its head. Empty when they are equal.
 * @example diffLines("a\nb\n", "a\nc\n") // "@@ -1,2 +1,2 @@\n a\n-b\n+c"
 */
export function diffLines(before: string, after: string): string {
  if (before === after) return "";
  const [left, right] = [linesOf(before), linesOf(after)];
  const hunks: Change[][] = [];
  for (const change of changesOf(left, right)) {
    const last = hunks.at(-1)?.at(-1);
    const near = last !== undefined && change.before[0] - (last.before[0] + last.before[1]) <= 2 * contextLines;
    if (near) hunks.at(-1)?.push(change);
    else hunks.push([change]);
  }
  return hunks.map((hunk) => showHunk(left, right, hunk)).join("\n");
}

/** The end of a last line is shown where it is missing: two texts that differ in it alone differ. */
function linesOf(text: string): string[] {
  if (text === "") return [];
  if (text.endsWith("\n")) return text.slice(0, -1).split("\n");
  const lines = text.split("\n");
  return [...lines.slice(0, -1), `${lines.at(-1) ?? ""}\\ (no line end)`];
}

function changesOf(left: string[], right: string[]): readonly Change[] {
  if (left.length * right.length > mostPairs) return [{ before: [0, left.length], after: [0, right.length] }];
  return diffIndices(left, right).map(({ buffer1, buffer2 }) => ({ before: buffer1, after: buffer2 }));
}

function showHunk(left: readonly string[], right: readonly string[], hunk: readonly Change[]): string {
  const [first, last] = [hunk[0], hunk.at(-1)];
  if (first === undefined || last === undefined) return "";
  const start = Math.max(0, first.before[0] - contextLines);
  const end = Math.min(left.length, last.before[0] + last.before[1] + contextLines);
  const rightStart = first.after[0] - (first.before[0] - start);
  const lines: string[] = [];
  let position = start;
  for (const { before, after } of hunk) {
    lines.push(...left.slice(position, before[0]).map((line) => ` ${line}`));
    lines.push(...left.slice(before[0], before[0] + before[1]).map((line) => `-${line}`));
    lines.push(...right.slice(after[0], after[0] + after[1]).map((line) => `+${line}`));
    position = before[0] + before[1];
  }
  lines.push(...left.slice(position, end).map((line) => ` ${line}`));
  const grown = hunk.reduce((sum, { before, after }) => sum + after[1] - before[1], 0);
  const head = `@@ -${shown(start, end - start)} +${shown(rightStart, end - start + grown)} @@`;
  return [head, ...lines].join("\n");
}

function shown(start: number, count: number): string {
  return `${count === 0 ? start : start + 1},${count}`;
}

/** The one kind of mistake that the repairing brain knows, and where it is: an amount cut off that should be rounded. Pure. @module */
import type { TestReport } from "./test-report.ts";

export interface Repair {
  readonly oldText: string;
  readonly newText: string;
}

/** The first word of a failing test's name that can only be an identifier. */
export function functionName({ failures }: TestReport): string | null {
  return failures.map((failure) => /\b[a-z]+[A-Z]\w*/.exec(failure)?.[0]).find((name) => name !== undefined) ?? null;
}

/** The first path in grep's lines (`path:line:text`, or a path alone) that is no test. */
export function findLocation(output: string): string | null {
  const paths = output.split("\n").map((line) => /^\s*(\/?[\w./-]+\.[cm]?js)(?::|\s*$)/.exec(line)?.[1]);
  const path = paths.find((candidate) => candidate !== undefined && !/(?:^|\/)tests?\/|\.test\./.test(candidate));
  if (path === undefined) return null;
  return path.startsWith("/") ? path : `/workspace/${path.replace(/^\.\//, "")}`;
}

/** The line of the failing function that cuts off, where the failure is one that rounding mends. */
export function findRepair(before: TestReport, numbered: string): Repair | null {
  const name = functionName(before);
  const { difference } = before;
  if (name === null || difference === null || difference.expected - difference.actual !== 1) return null;
  const lines = numbered.split("\n").map((line) => line.replace(/^\s*\d+\t/, ""));
  const start = lines.findIndex((line) => line.includes(`function ${name}(`));
  const length = lines.slice(start).findIndex((line) => line.startsWith("}"));
  if (start === -1 || length === -1) return null;
  const oldText = lines.slice(start, start + length).find((line) => /Math\.(?:floor|trunc)\(/.test(line));
  if (oldText === undefined || lines.filter((line) => line.includes(oldText)).length !== 1) return null;
  return { oldText, newText: oldText.replace(/Math\.(?:floor|trunc)\(/, "Math.round(") };
}

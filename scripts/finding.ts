/** What a check of our own reports, and how it is printed. @module */

export interface Finding {
  /** Name of the rule. */
  readonly rule: string;
  /** `path` or `path:line`. */
  readonly where: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

/** @example describeFinding(finding) // "[file-length] packages/a.ts: 310 lines, at most 300 …" */
export function describeFinding({ rule, where, what, why, fix }: Finding): string {
  return [`[${rule}] ${where}: ${what}`, `    why: ${why}`, `    fix: ${fix}`].join("\n");
}

/** Prints the findings; the process fails when there are any. */
export function report(findings: readonly Finding[], summary: string): void {
  for (const finding of findings) process.stdout.write(`${describeFinding(finding)}\n`);
  process.stdout.write(findings.length === 0 ? `${summary}\n` : `${findings.length} found\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}

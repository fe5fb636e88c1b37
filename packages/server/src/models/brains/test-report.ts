/** Reads what `node --test` prints, in its `spec` and `tap` forms. Pure. @module */

export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  /** Names of failing tests. */
  readonly failures: readonly string[];
  /** From the first assertion on two numbers that differ. */
  readonly difference: { readonly actual: number; readonly expected: number } | null;
}

/** Null where the output holds no summary: the tests did not run, or not to their end. */
export function readTestReport(output: string): TestReport | null {
  const passed = summaryCount(output, "pass");
  const failed = summaryCount(output, "fail");
  if (passed === null || failed === null) return null;
  const names = [...output.matchAll(/^\s*(?:✖|not ok \d+ -) (.+?)(?: \([\d.]+ms\))?\s*$/gm)].flatMap(
    (match) => match[1] ?? [],
  );
  const numbers = /(-?\d+(?:\.\d+)?) !== (-?\d+(?:\.\d+)?)/.exec(output);
  return {
    passed,
    failed,
    failures: [...new Set(names)].filter((name) => !/^failing tests:?$|\.js$/.test(name)),
    difference: numbers === null ? null : { actual: Number(numbers[1]), expected: Number(numbers[2]) },
  };
}

function summaryCount(output: string, word: "pass" | "fail"): number | null {
  const counts = [...output.matchAll(/^(?:ℹ|#) (pass|fail) (\d+)\s*$/gm)].filter((match) => match[1] === word);
  const last = counts.at(-1)?.[2];
  return last === undefined ? null : Number(last);
}

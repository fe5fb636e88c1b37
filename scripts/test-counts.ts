/** What vitest's JSON report says in numbers. @module */

export interface TestCounts {
  readonly passed: number;
  /** Tests, and files that failed before any of their tests did. */
  readonly failed: number;
  /** Full names. */
  readonly skipped: readonly string[];
}

interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
}

/** @throws Error when the report has another form. */
export function countTests(results: unknown): TestCounts {
  const files = readFiles(results);
  const tests = files.flatMap((file) => file.assertionResults.map((test) => ({ ...test, file: file.name })));
  const broken = files.filter(
    (file) => file.status === "failed" && !file.assertionResults.some(({ status }) => status === "failed"),
  );
  const count = (wanted: string) => tests.filter(({ status }) => status === wanted).length;
  return {
    passed: count("passed"),
    failed: count("failed") + broken.length,
    skipped: tests
      .filter(({ status }) => status === "skipped" || status === "pending" || status === "todo")
      .map(({ file, fullName }) => `${file}: ${fullName}`),
  };
}

function readFiles(results: unknown): readonly FileResult[] {
  if (typeof results === "object" && results !== null && "testResults" in results && isFiles(results.testResults)) {
    return results.testResults;
  }
  throw new Error("vitest's report has another form than expected: was it upgraded?");
}

function isFiles(value: unknown): value is FileResult[] {
  return (
    Array.isArray(value) &&
    value.every(
      (file: unknown) => typeof file === "object" && file !== null && "assertionResults" in file && "status" in file,
    )
  );
}

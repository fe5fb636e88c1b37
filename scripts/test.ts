/**
 * `npm test [-- filters and options of vitest]`: all tests. In CI a skipped test is a failure: there every prerequisite
 * must be there.
 *
 *   node scripts/test.ts [--counts=FILE] [packages/server/src/loop]
 *
 * `--counts=FILE`: appends a line `<passed> <failed>`.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestCounts } from "./count-reporter.ts";

const root = join(import.meta.dirname, "..");
const countsOption = "--counts=";
/** Read by vitest.config.ts. */
const countsVariable = "VITEST_COUNTS_FILE";

async function runVitest(args: readonly string[], resultsPath: string): Promise<number> {
  const program = join(root, "node_modules/.bin/vitest");
  const env = { ...process.env, [countsVariable]: resultsPath };
  const child = spawn(program, ["run", ...args], { cwd: root, stdio: "inherit", env });
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  // Typed at a terminal it has reached vitest already.
  process.on("SIGINT", () => undefined);
  return new Promise((resolve) => {
    child.once("error", (error) => {
      process.stderr.write(`vitest cannot be started: ${error.message}\n`);
      resolve(1);
    });
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

function readCounts(resultsPath: string): TestCounts {
  // Without results vitest itself has failed, and said why.
  if (!existsSync(resultsPath)) return { passed: 0, failed: 1, skipped: [] };
  const counts: unknown = JSON.parse(readFileSync(resultsPath, "utf8"));
  if (!isCounts(counts)) throw new Error("the reporter's file has another form than expected");
  return counts;
}

function isCounts(value: unknown): value is TestCounts {
  return typeof value === "object" && value !== null && "passed" in value && "failed" in value && "skipped" in value;
}

/** Without it the tests of the second sandbox runtime are skipped, which set-up says. */
function fetchGvisor(): void {
  const program = join(import.meta.dirname, "setup/gvisor.mjs");
  if (process.platform === "linux") spawnSync(process.execPath, [program], { stdio: ["ignore", "ignore", "inherit"] });
}

async function main(): Promise<number> {
  fetchGvisor();
  const args = process.argv.slice(2);
  const countsPath = args.find((arg) => arg.startsWith(countsOption))?.slice(countsOption.length);
  const directory = mkdtempSync(join(tmpdir(), "exoloop-test-results-"));
  try {
    const resultsPath = join(directory, "results.json");
    const code = await runVitest(
      args.filter((arg) => !arg.startsWith(countsOption)),
      resultsPath,
    );
    const { passed, failed, skipped } = readCounts(resultsPath);
    const inContinuousIntegration = (process.env["CI"] ?? "") !== "";
    const missing = inContinuousIntegration ? skipped.length : 0;
    if (missing > 0) {
      process.stdout.write(
        `In CI every prerequisite must be there; these tests were skipped:\n  ${skipped.join("\n  ")}\n`,
      );
    }
    // An error outside of any test fails the run with every test passed.
    const failures = Math.max(failed + missing, code === 0 ? 0 : 1);
    if (countsPath !== undefined) appendFileSync(countsPath, `${passed} ${failures}\n`);
    return failures === 0 ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();

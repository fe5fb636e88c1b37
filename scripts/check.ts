/**
 * `npm run check [-- NAME …]`: types, lint, format, structure, arrows, unused code, host size,
 * lockfile. One line each; what fails
 * is shown in full. Exit code 1 when anything fails, 2 for an unknown name.
 * @module
 */
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..");
const tool = (name: string) => join(root, "node_modules/.bin", name);

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** What to do about a failure, where the tool does not say. */
  readonly remedy?: string;
}

/** The slowest first: they share the processors. */
const checks: readonly Check[] = [
  { name: "types", command: [tool("tsc"), "-p", "tsconfig.json", "--noEmit"] },
  { name: "lint", command: [tool("oxlint"), "--deny-warnings"] },
  { name: "unused", command: [tool("knip"), "--no-progress"], remedy: "Remove it, or say in knip.json why it stays." },
  { name: "arrows", command: [process.execPath, "scripts/arrows.ts"] },
  { name: "structure", command: [process.execPath, "scripts/structure.ts"] },
  {
    name: "format",
    command: [tool("oxfmt"), "--list-different"],
    remedy: "These files are not formatted: npm run format",
  },
  { name: "host-size", command: [process.execPath, "--no-warnings", "scripts/host-size.ts"] },
  { name: "lockfile", command: [process.execPath, "scripts/lockfile.ts"] },
];

interface Outcome {
  readonly check: Check;
  readonly passed: boolean;
  readonly output: string;
  readonly milliseconds: number;
}

function run(check: Check): Promise<Outcome> {
  const started = performance.now();
  const [program, ...args] = check.command;
  const environment = { ...process.env, FORCE_COLOR: process.stdout.isTTY ? "1" : "0" };
  const child = spawn(program, args, { cwd: root, env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    const settle = (passed: boolean) => {
      const output = Buffer.concat(chunks).toString().trim();
      resolve({ check, passed, output, milliseconds: performance.now() - started });
    };
    child.once("error", (error) => {
      chunks.push(Buffer.from(error.message));
      settle(false);
    });
    child.once("close", (code) => settle(code === 0));
  });
}

function describe({ check, passed, output, milliseconds }: Outcome): string {
  const line = `${passed ? "ok  " : "FAIL"}  ${check.name.padEnd(10)} ${(milliseconds / 1000).toFixed(1)} s`;
  if (passed) return line;
  return [line, "", output, ...(check.remedy === undefined ? [] : [check.remedy]), ""].join("\n");
}

async function runAll(selected: readonly Check[]): Promise<Outcome[]> {
  const waiting = [...selected];
  const outcomes: Outcome[] = [];
  const worker = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      const outcome = await run(check);
      outcomes.push(outcome);
      process.stdout.write(`${describe(outcome)}\n`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, worker));
  return outcomes;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { counts: { type: "string" } } });
  const unknown = positionals.filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0) {
    process.stderr.write(
      `There is no check ${unknown.join(", ")}: choose from ${checks.map(({ name }) => name).join(", ")}.\n`,
    );
    return 2;
  }
  const selected = positionals.length === 0 ? checks : checks.filter(({ name }) => positionals.includes(name));
  const outcomes = await runAll(selected);
  const failed = outcomes.filter(({ passed }) => !passed).length;
  if (values.counts !== undefined) appendFileSync(values.counts, `${outcomes.length - failed} ${failed}\n`);
  process.stdout.write(
    failed === 0 ? `All ${outcomes.length} checks passed.\n` : `${failed} of ${outcomes.length} checks failed.\n`,
  );
  return failed === 0 ? 0 : 1;
}

process.exitCode = await main();

/**
 * `npm run bench -- NAME [--json] [--OPTION N]`: measures, and exits with 1 when a row misses its goal. Without a name it lists the
 * benches; an unknown name is exit code 2. Standard output carries the result alone, progress goes to standard error.
 * @module
 */
import { execFileSync } from "node:child_process";
import { chmodSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Bench, BenchContext, BenchOption, BenchResult, Machine } from "./bench.ts";
import { describeResult } from "./table.ts";

const usageError = 2;

function isBench(value: unknown): value is Bench {
  return (
    typeof value === "object" && value !== null && "name" in value && "run" in value && typeof value.run === "function"
  );
}

/** Every file of benches/ exports one as `bench`, named as the file. */
async function loadBenches(): Promise<Map<string, Bench>> {
  const directory = join(import.meta.dirname, "benches");
  const benches = new Map<string, Bench>();
  for (const file of globSync("*.ts", { cwd: directory }).sort()) {
    const loaded: unknown = await import(pathToFileURL(join(directory, file)).href);
    const bench: unknown = typeof loaded === "object" && loaded !== null && "bench" in loaded ? loaded.bench : null;
    if (!isBench(bench) || bench.name !== basename(file, ".ts"))
      throw new Error(`bench/benches/${file} exports no bench of its name`);
    benches.set(bench.name, bench);
  }
  return benches;
}

function describeMachine(): Machine {
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.versions.node,
    load: loadavg()[0] ?? 0,
  };
}

function readCommit(): string | null {
  try {
    const options = { cwd: import.meta.dirname, encoding: "utf8", stdio: "pipe" } as const;
    return execFileSync("git", ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], options).trim();
  } catch {
    return null;
  }
}

type Given = ReadonlyMap<string, number>;

async function measure(bench: Bench, given: Given): Promise<BenchResult> {
  const machine = describeMachine();
  // Short: the path of a UNIX socket below it has at most 107 bytes.
  const directory = mkdtempSync(join(tmpdir(), "bench-"));
  // Postgres and sandboxes run as other users below it.
  chmodSync(directory, 0o711);
  const notes: string[] = [];
  const context: BenchContext = {
    directory,
    note: (text) => void notes.push(text),
    progress: (text) => void process.stderr.write(`${text}\n`),
    option(name) {
      const value = given.get(name) ?? bench.options?.find((option) => option.name === name)?.default;
      if (value === undefined) throw new Error(`the bench ${bench.name} has no option ${name}`);
      return value;
    },
  };
  try {
    const rows = await bench.run(context);
    return { bench: bench.name, commit: readCommit(), machine, rows, notes, ok: rows.every((row) => row.ok) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Arguments {
  readonly names: readonly string[];
  readonly json: boolean;
  readonly options: Given;
}

/** Every option of every bench is known, so that a number is never taken for a name. Null when something is wrong. */
function readArguments(benches: Iterable<Bench>): Arguments | null {
  const known = [...benches].flatMap((bench) => bench.options ?? []).map((option) => option.name);
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "boolean" as const, default: false },
        ...Object.fromEntries(known.map((name) => [name, { type: "string" as const }])),
      },
    });
    const options = new Map<string, number>();
    for (const [name, value] of Object.entries(values)) {
      if (typeof value !== "string") continue;
      if (!/^\d{1,9}$/.test(value))
        throw new Error(`--${name} is ${JSON.stringify(value)}: it must be a whole number.`);
      options.set(name, Number(value));
    }
    return { names: positionals, json: values["json"] === true, options };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return null;
  }
}

function describeBench({ name, description, options = [] }: Bench): string {
  const lines = options.map(
    (option: BenchOption) => `  --${option.name} N  ${option.description} (${option.default})\n`,
  );
  return `${name.padEnd(12)} ${description}\n${lines.join("")}`;
}

async function main(): Promise<number> {
  const benches = await loadBenches();
  const given = readArguments(benches.values());
  if (given === null || given.names.length > 1) {
    process.stderr.write("Usage: npm run bench -- NAME [--json] [--OPTION N]\n");
    return usageError;
  }
  const [name] = given.names;
  if (name === undefined) {
    for (const bench of benches.values()) process.stdout.write(describeBench(bench));
    return 0;
  }
  const bench = benches.get(name);
  if (bench === undefined) {
    process.stderr.write(`There is no bench ${JSON.stringify(name)}: choose from ${[...benches.keys()].join(", ")}.\n`);
    return usageError;
  }
  const foreign = [...given.options.keys()].find((option) => !bench.options?.some((own) => own.name === option));
  if (foreign !== undefined) {
    process.stderr.write(`The bench ${bench.name} has no option --${foreign}.\n`);
    return usageError;
  }
  const result = await measure(bench, given.options);
  process.stdout.write(given.json ? `${JSON.stringify(result)}\n` : `${describeResult(result).join("\n")}\n`);
  return result.ok ? 0 : 1;
}

process.exitCode = await main();

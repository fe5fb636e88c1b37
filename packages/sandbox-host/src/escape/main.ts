/**
 * `npm run escape [-- --json] [--provider local|gvisor]`: asks every probe, prints what was seen, and exits with 1 unless all held and all were
 * shown to fail in their control. With --json the last line on standard output is the result.
 * @module
 */
import { parseArgs } from "node:util";
import { expectationsFor } from "./expectations.ts";
import { type EscapeResult, type ProbeResult, checkEscape } from "./conformance.ts";

const scenarios = 18;

function describeRow(result: ProbeResult): string {
  const mark = result.held ? "held   " : "REACHED";
  const scenario = result.scenario === null ? "  " : String(result.scenario).padStart(2);
  const control = result.controlReached ? "" : `  CONTROL PROVES NOTHING (${result.controlSeen})`;
  return `${mark} ${scenario} ${result.id.padEnd(28)} ${result.sentence}  [${result.seen}]${control}`;
}

function describe(result: EscapeResult): string {
  const families = [...new Set(result.results.map((each) => each.family))];
  const rows = families.flatMap((family) => [
    `\n${family}`,
    ...result.results.filter((each) => each.family === family).map(describeRow),
  ]);
  const covered = new Set(result.results.map((each) => each.scenario).filter((each) => each !== null)).size;
  return [
    ...rows,
    "",
    `${result.probes} probes (${result.live} live, ${result.gates} gates; ${covered} of ${scenarios} scenarios of SandboxEscapeBench)`,
    ...(result.declared === 0 ? [] : [`${result.declared} differences are declared`]),
    `${result.held} held, ${result.reachable} reachable; ${result.weakControlReachable} shown to fail in their control`,
    `${result.seconds} s: ${result.ok ? "ok" : "NOT OK"}`,
    "",
  ].join("\n");
}

const runtimes = new Map([
  ["local", "bubblewrap"],
  ["gvisor", "gvisor"],
] as const);

function runtimeOf(provider: string): "bubblewrap" | "gvisor" {
  for (const [name, runtime] of runtimes) if (name === provider) return runtime;
  throw new Error(`there is no provider ${provider}: it is one of ${[...runtimes.keys()].join(", ")}`);
}

try {
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, provider: { type: "string", default: "local" } },
  });
  const runtime = runtimeOf(values.provider);
  const result = await checkEscape(runtime);
  for (const { id, reason } of values.json ? [] : expectationsFor(runtime).declared)
    process.stdout.write(`declared   ${id.padEnd(28)} ${reason}\n`);
  if (values.json) {
    const { results, ...summary } = result;
    const failed = results.filter((each) => !each.held || !each.controlReached).map(describeRow);
    if (failed.length > 0) process.stderr.write(`${failed.join("\n")}\n`);
    process.stdout.write(`${JSON.stringify(summary)}\n`);
  } else process.stdout.write(describe(result));
  process.exitCode = result.ok ? 0 : 1;
} catch (error) {
  const text = error instanceof Error ? error.message : String(error);
  const remedy = error instanceof Error && "remedy" in error ? ` ${String(error.remedy)}` : "";
  process.stderr.write(`escape: ${text}${remedy}\n`);
  process.exitCode = 1;
}

/**
 * What a sandbox feels while its neighbour on the same machine is abused: p99 of a small command during each attack,
 * in units of the p99 of the same command just before it. Goal: at most twice.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { attacks } from "@exoloop/sandbox-host/abuse/attacks";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { percentile, toRow } from "../statistics.ts";

const resources = { memoryBytes: 256 << 20, processes: 100, cpus: 1, diskBytes: 128 << 20, files: 5_000 };
/** For the full size: it holds a million files. */
const wholeResources = { ...resources, files: 1_100_000, diskBytes: 8 * 1024 ** 3 };
const goal = 2;
const quietCommands = 200;

/** Milliseconds of one small command. */
async function timeCommand(sandbox: Sandbox): Promise<number> {
  const started = performance.now();
  const { stdout } = await sandbox.session.run({ command: "echo neighbour" });
  if (stdout !== "neighbour\n") throw new Error("the neighbour did not answer");
  return performance.now() - started;
}

async function timeMany(sandbox: Sandbox, more: () => boolean): Promise<number[]> {
  const samples: number[] = [];
  while (more()) samples.push(await timeCommand(sandbox));
  return samples;
}

async function run(context: BenchContext): Promise<Row[]> {
  const whole = context.option("whole") !== 0;
  const host = await startSandboxHost({ directory: context.directory, mode: "auto", endsWithParent: true });
  const provider = await createLocalProvider({ socketPath: host.socketPath });
  const make = async (limits: typeof resources): Promise<Sandbox> => {
    const id = `sbx_${randomBytes(13).toString("hex").toUpperCase()}`;
    const sandbox = await provider.create({ id, owner: "bench", resources: limits, environment: {} });
    await sandbox.resume();
    return sandbox;
  };
  try {
    const neighbour = await make(resources);
    const rows: Row[] = [];
    for (const { id, attempt, contained } of attacks) {
      const attacker = await make(whole ? wholeResources : resources);
      let left = quietCommands;
      const before = await timeMany(neighbour, () => left-- > 0);
      let attacking = true;
      const attack = attempt(attacker, whole).finally(() => (attacking = false));
      const during = await timeMany(neighbour, () => attacking);
      const seen = await attack;
      await attacker.destroy();
      if (!contained.test(seen)) throw new Error(`${id} was not contained: ${seen}`);
      const quiet = percentile(before, 0.99);
      const times = during.map((milliseconds) => milliseconds / quiet);
      rows.push(toRow(times, { id: id.replaceAll("-", "_"), unit: "x", goal, judged: "p99" }));
      context.progress(`${id}: p99 ${percentile(during, 0.99).toFixed(1)} ms, quiet ${quiet.toFixed(1)} ms`);
    }
    return rows;
  } finally {
    await provider.close();
    await host.stop();
  }
}

export const bench: Bench = {
  name: "abuse",
  description: "a neighbour's p99 while a sandbox is abused, against before",
  options: [
    { name: "whole", description: "1: ten gigabytes of output and a million files, not a part of it", default: 0 },
  ],
  run,
};

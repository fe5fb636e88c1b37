/** Sandboxes that sleep: what it costs to wake, make, fill, store and keep one. @module */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type SandboxHost, startSandboxHost } from "@exoloop/sandbox-host/start";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { percentile, toRow } from "../statistics.ts";
import { measureColdCreation, measureCrowd, measurePooledCreation } from "./sandbox/creation.ts";
import { measureLargeFile, measureSmallFiles } from "./sandbox/files.ts";
import { withSandbox } from "./sandbox/sandboxes.ts";
import { measureSnapshots } from "./sandbox/snapshots.ts";
import { measureAwake, measureLoadedThaw, measureSpawn, measureThaw } from "./sandbox/thaw.ts";

const crowdSize = 200;
const thawGoalMs = 2.5;
/** Or so many times what this machine needs to start /bin/true. */
const thawGoalSpawns = 1.5;
const thawP99GoalMs = 15;
/** "No slower", with the noise of one run. */
const crowdRatio = 1.2;

const published = [
  "Published by others, of other machines, with the network or not, and no method given or another one:",
  "  Blaxel: a sandbox in standby is back in under 25 ms; CubeSandbox, PVM virtual machine: resume p50 18.9 ms, p95 32.8 ms.",
];

async function measureThawRows(provider: SandboxProvider, { progress }: BenchContext, n: number): Promise<Row[]> {
  progress(`spawn of /bin/true, thaw, awake: ${n} of each`);
  const spawns = await measureSpawn(n);
  const thaws = await measureThaw(provider, n);
  const loaded = await measureLoadedThaw(provider, n);
  const awake = await measureAwake(provider, n);
  progress(`${crowdSize} suspended sandboxes`);
  const crowd = await measureCrowd(provider, crowdSize, n);
  const goal = Math.max(thawGoalMs, thawGoalSpawns * percentile(spawns, 0.5));
  return [
    toRow(spawns, { id: "spawn_true", unit: "ms", goal: null }),
    toRow(thaws, { id: "thaw_first_byte", unit: "ms", goal, peer: spawns }),
    toRow(thaws, { id: "thaw_first_byte_p99", unit: "ms", goal: thawP99GoalMs, judged: "p99" }),
    toRow(loaded, { id: "thaw_first_byte_loaded", unit: "ms", goal, peer: spawns }),
    toRow(loaded, { id: "thaw_first_byte_loaded_p99", unit: "ms", goal: thawP99GoalMs, judged: "p99" }),
    toRow(crowd.thaws, {
      id: "thaw_among_200",
      unit: "ms",
      goal: crowdRatio * percentile(thaws, 0.5),
      peer: thaws,
    }),
    toRow([crowd.megabytesEach], { id: "frozen_memory", unit: "MB", goal: 1.5 }),
    toRow(awake, { id: "exec_awake", unit: "ms", goal: 2 }),
  ];
}

async function measureCreationRows(provider: SandboxProvider, { progress }: BenchContext, n: number): Promise<Row[]> {
  progress(`create: ${n} cold, ${n} from the pool`);
  return [
    toRow(await measureColdCreation(provider, n), { id: "create_cold", unit: "ms", goal: 20 }),
    toRow(await measurePooledCreation(provider, n), { id: "create_pool", unit: "ms", goal: 5 }),
  ];
}

async function measureFileRows(
  provider: SandboxProvider,
  host: SandboxHost,
  { progress, directory, option }: BenchContext,
  n: number,
): Promise<Row[]> {
  const rounds = option("file-samples");
  progress(`files: 64 MB ${n} times each way, 2,000 small ones and snapshots ${rounds} times`);
  const large = await withSandbox(provider, (sandbox) => measureLargeFile(sandbox, n));
  const onHost = join(host.sandboxesDirectory, "..", "bench-files");
  mkdirSync(onHost, { recursive: true });
  const small = await withSandbox(provider, (sandbox) => measureSmallFiles(sandbox, join(onHost, "small"), rounds));
  const times = await measureSnapshots(provider, directory, rounds, progress);
  const hostP50 = percentile(small.host, 0.5);
  return [
    toRow(large.write, { id: "write_64mb", unit: "MB/s", goal: 400, higherIsBetter: true }),
    toRow(large.read, { id: "read_64mb", unit: "MB/s", goal: 300, higherIsBetter: true }),
    toRow(small.sandbox, { id: "small_files_2000", unit: "ms", goal: 1.3 * hostP50, peer: small.host }),
    toRow(times.snapshot, { id: "snapshot_1mb_of_50mb", unit: "ms", goal: 150 }),
    toRow(times.restore, { id: "restore_50mb", unit: "ms", goal: 400 }),
  ];
}

async function measureGvisor(host: SandboxHost, { progress, note }: BenchContext, n: number): Promise<Row[]> {
  try {
    const provider = await createLocalProvider({ socketPath: host.socketPath, runtime: "gvisor" });
    progress(`gVisor: thaw, ${n} times`);
    const thaws = await measureThaw(provider, n);
    await provider.close();
    return [toRow(thaws, { id: "runsc_thaw_first_byte", unit: "ms", goal: null })];
  } catch (error) {
    note(`gVisor was not measured: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

async function run(context: BenchContext): Promise<Row[]> {
  const n = context.option("samples");
  for (const line of published) context.note(line);
  const host = await startSandboxHost({
    directory: join(context.directory, "host"),
    mode: "auto",
    endsWithParent: true,
  });
  try {
    const provider = await createLocalProvider({ socketPath: host.socketPath });
    const rows = [
      ...(await measureThawRows(provider, context, n)),
      ...(await measureCreationRows(provider, context, n)),
      ...(await measureFileRows(provider, host, context, n)),
      ...(await measureGvisor(host, context, n)),
    ];
    await provider.close();
    return rows;
  } finally {
    await host.stop();
  }
}

export const bench: Bench = {
  name: "sandbox",
  description: "waking, making, filling, storing and keeping sandboxes",
  options: [
    { name: "samples", description: "how many of each", default: 200 },
    { name: "file-samples", description: "how many times many files and snapshots are", default: 200 },
  ],
  run,
};

/**
 * What a sandbox feels while its neighbour on the same machine is abused: p99 of a small command during each attack,
 * in units of the p99 of the same command just before. Goal: at most twice. The neighbour's commands and the attack are
 * driven by processes of their own, as by two servers; this one only waits.
 * @module
 */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, statfsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type Attack, attacks, control } from "@exoloop/sandbox-host/abuse/attacks";
import { startDriver } from "@exoloop/sandbox-host/abuse/drive";
import { type SandboxHost, startSandboxHost } from "@exoloop/sandbox-host/start";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { percentile, toRow } from "../statistics.ts";
import { type NeighbourSample, before, during } from "./abuse/samples.ts";

const resources = { memoryBytes: 256 << 20, processes: 100, cpus: 1, diskBytes: 128 << 20, files: 5_000 };
/** For the full size: it holds a million files. */
const wholeResources = { ...resources, files: 1_100_000, diskBytes: 8 * 1024 ** 3 };
const goal = 2;
const megabyte = 1024 ** 2;
/** Of quiet before each time that an attack is made; before one of full size longer, for it is made once. */
const quietMs = 1_000;
const wholeQuietMs = 5_000;
/** An attack that is over sooner is made in several sandboxes, one after the other. */
const roundSeconds = 2;
const mostAttackers = 10;
const mostRounds = 40;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

interface Neighbour {
  /** What it did since it was last asked. */
  take(): Promise<NeighbourSample[]>;
  stop(): Promise<void>;
}

async function startNeighbour(socketPath: string, { reference }: Sandbox, pauseMs: number): Promise<Neighbour> {
  const program = fileURLToPath(new URL("abuse/neighbour.ts", import.meta.url));
  const child = fork(program, [socketPath, reference.id, String(pauseMs)], { execArgv: [] });
  const next = <T>(): Promise<T> =>
    new Promise((resolve, reject) => {
      child.once("message", (message: unknown) => resolve(message as T));
      child.once("exit", (code) => reject(new Error(`the neighbour ended with ${code}`)));
    });
  await next();
  return {
    take() {
      const answer = next<NeighbourSample[]>();
      child.send("take");
      return answer;
    },
    async stop() {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}

interface World {
  readonly context: BenchContext;
  readonly host: SandboxHost;
  readonly provider: SandboxProvider;
  readonly neighbour: Neighbour;
  readonly whole: boolean;
}

async function makeSandbox(provider: SandboxProvider, limits: typeof resources): Promise<Sandbox> {
  const id = `sbx_${randomBytes(13).toString("hex").toUpperCase()}`;
  const sandbox = await provider.create({ id, owner: "bench", resources: limits, environment: {} });
  await sandbox.resume();
  return sandbox;
}

interface Round {
  readonly quiet: readonly number[];
  readonly attacked: readonly number[];
  /** Of one attack. */
  readonly seconds: number;
  readonly grownBytes: number;
}

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** One attack, in as many sandboxes, each of its own. */
async function attackOnce(world: World, { id, contained }: Attack, count: number): Promise<Round> {
  const { context, host, provider, neighbour, whole } = world;
  const free = freeBytes(context.directory);
  const attackers: Sandbox[] = [];
  while (attackers.length < count) attackers.push(await makeSandbox(provider, whole ? wholeResources : resources));
  const ids = attackers.map(({ reference }) => reference.id);
  const driver = await startDriver(host.socketPath, ids);
  await pause(quietMs / 2);
  await neighbour.take();
  await pause(whole ? wholeQuietMs : quietMs);
  const daemonBefore = residentBytes(host.pid);
  const report = await driver.attack({ attack: id, whole });
  const daemon = residentBytes(host.pid) - daemonBefore;
  const samples = await neighbour.take();
  const full = freeBytes(context.directory);
  const ended = performance.now();
  for (const attacker of attackers) await attacker.destroy();
  if (whole) {
    const [taken, left] = [free - full, free - freeBytes(context.directory)].map((bytes) =>
      Math.round(bytes / megabyte),
    );
    const seconds = ((performance.now() - ended) / 1000).toFixed(1);
    context.progress(`${id}: ${taken} MB of disk at its end, ${left} MB after it was destroyed in ${seconds} s`);
  }
  const escaped = report.seen.find((seen) => !contained.test(seen));
  if (escaped !== undefined) throw new Error(`${id} was not contained: ${escaped}`);
  return {
    quiet: before(samples, report),
    attacked: during(samples, report),
    seconds: (report.ended - report.started) / 1000 / count,
    grownBytes: Math.max(report.grownBytes, daemon),
  };
}

function attackersFor(seconds: number): number {
  return Math.min(Math.ceil(roundSeconds / seconds), mostAttackers);
}

/** Again and again, until there are enough of the neighbour's commands before and during it. */
async function measureAttack(world: World, attack: Attack): Promise<Row[]> {
  const { context } = world;
  const rounds: Round[] = [];
  const count = (kind: "quiet" | "attacked"): number => rounds.reduce((sum, round) => sum + round[kind].length, 0);
  const wanted = context.option("samples");
  while (Math.min(count("quiet"), count("attacked")) < wanted && rounds.length < mostRounds)
    rounds.push(await attackOnce(world, attack, attackersFor(rounds.at(-1)?.seconds ?? roundSeconds)));
  const [quiet, attacked] = (["quiet", "attacked"] as const).map((kind) => rounds.flatMap((round) => round[kind]));
  if (quiet === undefined || attacked === undefined) throw new Error("no samples");
  const unit = percentile(quiet, 0.99);
  const grown = Math.max(...rounds.map((round) => round.grownBytes)) / megabyte;
  const seconds = rounds.map((round) => round.seconds);
  const figures = [0.5, 0.95, 0.99].map(
    (share) => `${percentile(quiet, share).toFixed(1)} -> ${percentile(attacked, share).toFixed(1)}`,
  );
  const text =
    `${attack.id}: ${figures.join(", ")} ms (p50, p95, p99; ${quiet.length} quiet and ${attacked.length} attacked` +
    ` in ${rounds.length} rounds of ${percentile(seconds, 0.5).toFixed(1)} s); server + ${grown.toFixed(1)} MB`;
  context.progress(text);
  context.note(text);
  const ofAttack = { id: attack.id.replaceAll("-", "_"), unit: "x", judged: "p99" } as const;
  return [
    toRow(
      attacked.map((milliseconds) => milliseconds / unit),
      { ...ofAttack, goal: attack === control ? null : goal },
    ),
  ];
}

async function run(context: BenchContext): Promise<Row[]> {
  const whole = context.option("whole") !== 0;
  const only = context.option("only");
  const host = await startSandboxHost({ directory: context.directory, mode: "auto", endsWithParent: true });
  const provider = await createLocalProvider({ socketPath: host.socketPath });
  try {
    const neighbour = await startNeighbour(
      host.socketPath,
      await makeSandbox(provider, resources),
      context.option("pause"),
    );
    const world = { context, host, provider, neighbour, whole };
    const rows: Row[] = [];
    for (const [number, attack] of [control, ...attacks].entries())
      if (only === 0 || number === only) rows.push(...(await measureAttack(world, attack)));
    await neighbour.stop();
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
    { name: "samples", description: "of the neighbour, at least, before and during each attack", default: 200 },
    {
      name: "pause",
      description: "milliseconds between the neighbour's commands; 0: one right after the other",
      default: 30,
    },
    { name: "only", description: "the attack of that number alone; 0: all", default: 0 },
  ],
  run,
};

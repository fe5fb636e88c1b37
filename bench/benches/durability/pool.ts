/** Two workers, each a process of its own; one that is killed is replaced at once, on the same port. @module */
import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { workerTimeoutMs } from "./settings.ts";
import type { World } from "./world.ts";
import {
  type ArmedPoint,
  type BenchMessage,
  type DeathEntry,
  deathsFile,
  directoryVariable,
  type WorkerMessage,
} from "./worker-messages.ts";

export interface Worker {
  readonly slot: number;
  readonly pid: number;
  readonly url: string;
  readonly state: "starting" | "running" | "stopped";
  /** Turns that it has begun. */
  readonly claims: number;
}

export interface Pool {
  /** As they are now. */
  workers(): readonly Worker[];
  /** The first key of the first organization. */
  readonly adminKey: string;
  kill(pid: number): void;
  stop(pid: number): void;
  proceed(pid: number): void;
  arm(pid: number, point: ArmedPoint): void;
  killAll(): void;
  close(): Promise<void>;
}

export interface PoolOptions {
  readonly world: World;
  readonly environment: Readonly<Record<string, string>>;
  /** A worker has ended. `row` where it ended itself. */
  readonly onDeath: (pid: number, row: string | null, at: number) => void;
  readonly progress: (text: string) => void;
}

interface Slot {
  readonly index: number;
  child: ChildProcess | null;
  port: number;
  state: Worker["state"];
  claims: number;
}

const entry = fileURLToPath(new URL("worker.ts", import.meta.url));
const retryDelayMs = 200;
const startPatienceMs = 60_000;

export async function startPool(options: PoolOptions, size: number): Promise<Pool> {
  const slots = Array.from({ length: size }, (_, index): Slot => {
    return { index, child: null, port: 0, state: "starting", claims: 0 };
  });
  let closing = false;
  let adminKey: string | null = null;

  const start = async (slot: Slot): Promise<void> => {
    const startedAt = performance.now();
    while (!closing) {
      const child = forkWorker(options, slot.port);
      Object.assign(slot, { child, state: "starting", claims: 0 });
      child.once("exit", () => ended(slot, child));
      const ready = await awaitReady(child, () => (slot.claims += 1));
      if (ready.type === "ready") {
        slot.state = "running";
        slot.port = Number(new URL(ready.url).port);
        adminKey ??= ready.firstAdminKey;
        return;
      }
      // The database may be away, or the worker was killed while it started.
      if (performance.now() - startedAt > startPatienceMs) options.progress(`worker ${slot.index}: ${ready.message}`);
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs));
    }
  };
  const ended = (slot: Slot, child: ChildProcess): void => {
    const death = readDeath(options.world.shared, child.pid ?? 0);
    if (closing) return;
    options.onDeath(child.pid ?? 0, death?.row ?? null, death?.at ?? Date.now());
    // One that dies while it starts is started again by `start` itself.
    if (slot.state !== "starting") void start(slot);
  };
  const find = (pid: number) => slots.find((slot) => slot.child?.pid === pid);
  const signal = (pid: number, name: NodeJS.Signals, state?: Worker["state"]): void => {
    const slot = find(pid);
    slot?.child?.kill(name);
    if (slot !== undefined && state !== undefined) slot.state = state;
  };

  // The first alone: it makes the tables and the first key.
  for (const slot of slots) await start(slot);
  if (adminKey === null) throw new Error("a new home has no first key");
  return {
    adminKey,
    workers: () =>
      slots.map(({ index, child, port, state, claims }) => {
        return { slot: index, pid: child?.pid ?? 0, url: `http://127.0.0.1:${port}`, state, claims };
      }),
    kill: (pid) => signal(pid, "SIGKILL"),
    stop: (pid) => signal(pid, "SIGSTOP", "stopped"),
    proceed: (pid) => signal(pid, "SIGCONT", "running"),
    arm: (pid, point) => void find(pid)?.child?.send({ type: "arm", point } satisfies BenchMessage),
    killAll: () => slots.forEach((slot) => slot.child?.kill("SIGKILL")),
    async close() {
      closing = true;
      await Promise.all(slots.map((slot) => endChild(slot.child)));
    },
  };
}

function forkWorker({ world, environment }: PoolOptions, port: number): ChildProcess {
  const log = openSync(join(world.home, "workers.log"), "a");
  const child = fork(entry, {
    cwd: "/",
    env: {
      PATH: process.env["PATH"],
      EXOLOOP_HOME: world.home,
      EXOLOOP_PORT: String(port),
      EXOLOOP_LOG_LEVEL: "warn",
      EXOLOOP_WORKER_TIMEOUT_SECONDS: String(workerTimeoutMs / 1_000),
      [directoryVariable]: world.shared,
      ...environment,
    },
    serialization: "advanced",
    stdio: ["ignore", log, log, "ipc"],
    ...(world.userId === null ? {} : { uid: world.userId, gid: world.userId }),
  });
  closeSync(log);
  // A message to a worker that has just died is lost, as it should be.
  child.on("error", () => undefined);
  const start: BenchMessage = {
    type: "start",
    databaseUrl: world.databaseUrl(),
    sandboxSocket: world.sandboxSocket,
  };
  child.send(start);
  return child;
}

type Outcome = Extract<WorkerMessage, { readonly type: "ready" | "failed" }>;

function awaitReady(child: ChildProcess, onClaim: () => void): Promise<Outcome> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve({ type: "failed", message: "it ended while it started" }));
    child.on("message", (message: WorkerMessage) => {
      if (message.type === "claimed") onClaim();
      else resolve(message);
    });
  });
}

function readDeath(directory: string, pid: number): DeathEntry | undefined {
  return readLines<DeathEntry>(join(directory, deathsFile)).find((death) => death.pid === pid);
}

/** The lines of a file that its writers append whole; empty when there is none. */
export function readLines<Entry>(path: string): readonly Entry[] {
  try {
    const lines = readFileSync(path, "utf8").split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Entry);
  } catch {
    return [];
  }
}

async function endChild(child: ChildProcess | null): Promise<void> {
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await exited;
}

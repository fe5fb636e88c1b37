/** Starting one postmaster and knowing when it is ready. @module */
import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StartupError } from "../../errors.ts";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { serverEnvironment, spawnIdentity } from "./data-directory.ts";
import { isRunning, type ProcessIdentity, processCommand, processStart } from "./process-identity.ts";

const settings = [
  "listen_addresses=127.0.0.1",
  "unix_socket_directories=",
  "max_connections=200",
  "shared_buffers=64MB",
  "random_page_cost=1.1",
  "fsync=on",
  // No JIT library is shipped.
  "jit=off",
  // Reads of a small, cached database do not need three extra processes.
  "io_method=sync",
  "timezone=UTC",
  "log_timezone=UTC",
  "log_checkpoints=off",
  "cluster_name=exoloop",
];

const maximumLogBytes = 5_000_000;

export interface PostmasterPlaces {
  /** The data directory. */
  readonly data: string;
  /** The server's own log. */
  readonly log: string;
}

export interface FoundPostmaster {
  readonly server: ProcessIdentity;
  readonly port: number;
  /** Whether it accepts connections. */
  readonly ready: boolean;
}

/** The postmaster that postmaster.pid names, if it still runs and is the one of this data directory. */
export function findPostmaster(data: string): FoundPostmaster | null {
  const lines = readPostmasterFile(data);
  const pid = Number(lines?.[0]);
  if (lines === null || !Number.isInteger(pid) || pid <= 1) return null;
  const start = processStart(pid);
  // A recycled id belongs to a process that was not started with this directory.
  if (start === null || processCommand(pid)?.includes(data) !== true) return null;
  return { server: { pid, start }, port: Number(lines[3]), ready: lines[7]?.trim() === "ready" };
}

/** Removes a postmaster.pid that names a process of somebody else; Postgres would take it for a running server. */
export function removeStalePostmasterFile(data: string): void {
  if (readPostmasterFile(data) !== null && findPostmaster(data) === null)
    rmSync(join(data, "postmaster.pid"), { force: true });
}

function readPostmasterFile(data: string): string[] | null {
  try {
    return readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
  } catch {
    return null;
  }
}

export type StartOutcome = { readonly ready: FoundPostmaster } | { readonly failed: string };

/**
 * Starts a postmaster, detached, so that it outlives this process, and waits until it accepts connections or has ended.
 * `failed` is what it wrote to its log.
 */
export async function startPostmaster(
  binaries: Binaries,
  places: PostmasterPlaces,
  account: Account,
  port: number,
): Promise<StartOutcome> {
  const output = openLog(places.log);
  try {
    const from = fstatSync(output).size;
    const parameters = ["-D", places.data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
    const child = spawn(binaries.postgres, parameters, {
      ...spawnIdentity(account),
      cwd: "/",
      env: serverEnvironment,
      detached: true,
      stdio: ["ignore", output, output],
    });
    let over: string | null = null;
    child.once("error", (error) => (over = error.message));
    child.once("exit", () => (over = ""));
    child.unref();
    for (;;) {
      if (over !== null) return { failed: over + readFrom(output, from) };
      const found = findPostmaster(places.data);
      if (found?.ready === true && found.server.pid === child.pid) return { ready: found };
      await sleep(5);
    }
  } finally {
    closeSync(output);
  }
}

function openLog(path: string): number {
  try {
    if (statSync(path).size > maximumLogBytes) renameSync(path, `${path}.old`);
  } catch {
    // There is none yet.
  }
  return openSync(path, "a+", 0o600);
}

function readFrom(descriptor: number, from: number): string {
  const size = Math.min(fstatSync(descriptor).size - from, 20_000);
  const buffer = Buffer.alloc(Math.max(size, 0));
  readSync(descriptor, buffer, 0, buffer.length, from);
  return buffer.toString("utf8");
}

/** The error for a postmaster that ended, or null when trying again may help. */
export function judgeFailure(log: string, data: string): StartupError | null {
  // The children of a killed postmaster hold its shared memory until they have noticed.
  if (/shared memory block .* is still in use|lock file .* already exists/s.test(log)) return null;
  // Somebody was faster on the port that was free a moment ago.
  if (/could not bind|Address already in use|could not create any TCP\/IP sockets/.test(log)) return null;
  if (/No space left on device/.test(log)) {
    return new StartupError(
      `The disk that holds ${data} is full: free some space, point EXOLOOP_HOME to another disk, or set DATABASE_URL.`,
    );
  }
  const line = /^.*(?:FATAL|PANIC): +(.*)$/m.exec(log)?.[1] ?? log.trim().split("\n").at(-1) ?? "it gave no reason";
  return new StartupError(
    `The embedded Postgres did not start (${line.trim()}): its log is beside ${data}; or set DATABASE_URL.`,
  );
}

/** A port on the loopback address that is free now. */
export async function freePort(): Promise<number> {
  return (await listenOnce(0)) ?? Promise.reject(new Error("no port"));
}

export async function isPortFree(port: number): Promise<boolean> {
  return (await listenOnce(port)) !== null;
}

/** The port that was bound for a moment; null when it is not to be had. */
function listenOnce(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : null));
    });
  });
}

/** Asks a postmaster for a fast shutdown; false when it still runs after the time allowed. */
export async function shutDown(server: ProcessIdentity, milliseconds: number): Promise<boolean> {
  if (!isRunning(server)) return true;
  process.kill(server.pid, "SIGINT");
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline;) {
    if (!isRunning(server)) return true;
    await sleep(10);
  }
  return !isRunning(server);
}

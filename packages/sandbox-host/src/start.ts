/** Starts the sandbox host daemon, or finds the one that runs. @module */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { createHostClient } from "@exoloop/sandbox/providers/local/host-client";
import type { HostFacts } from "@exoloop/sandbox/providers/local/host-messages";
import type { SuspendKind } from "./cgroup-host.ts";
import { keepCompiled } from "./compiled-code.ts";
import type { HostMode } from "./configuration.ts";
import { buildHost } from "./host-build.ts";
import { checkRunsc, findProgram } from "./machine-programs.ts";
import { spreadOverDisk } from "./spread.ts";
import { findSlot } from "./state.ts";

const startPatienceMs = 120_000;
const stopPatienceMs = 15_000;
const longestLogBytes = 1024 ** 2;

export interface StartSandboxHostOptions {
  /** Absolute. The daemon's socket is `host.sock` in it. */
  readonly directory: string;
  /** `weak` confines by user id, Landlock and seccomp only; it is never chosen by itself. */
  readonly mode: HostMode;
  /** The unprivileged user of the server, which may connect besides the daemon's own. */
  readonly ownerUid?: number;
  /** Forces a way of suspending; the best one that works by default. */
  readonly suspend?: SuspendKind;
  /** A root file system that sandboxes see instead of this machine's own: absolute, writable for root only. */
  readonly baseRoot?: string;
  /**
   * The daemon destroys its sandboxes and ends when this process does, however it does: for tests and benches. One that
   * runs already is left as it is.
   */
  readonly endsWithParent?: boolean;
}

export interface SandboxHost {
  readonly socketPath: string;
  readonly pid: number;
  /** Where each sandbox has a directory, under a random name. */
  readonly sandboxesDirectory: string;
  /** That of one sandbox. Null: there is none. */
  directoryOf(id: string): string | null;
  /** Ends the daemon and, unless told otherwise, destroys its sandboxes. */
  stop(options?: { readonly keepSandboxes?: boolean }): Promise<void>;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Null when none answers. */
async function findRunning(socketPath: string): Promise<HostFacts | null> {
  if (!existsSync(socketPath)) return null;
  const client = createHostClient({ socketPath, patienceMs: 0 });
  try {
    return await client.call("hello", {});
  } catch {
    return null;
  } finally {
    client.close();
  }
}

interface FirstLine {
  readonly ready: boolean;
  readonly message: string;
  readonly remedy: string;
}

function parseFirstLine(line: string): FirstLine {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && "ready" in value) {
      const message = "message" in value ? String(value.message) : "";
      const remedy = "remedy" in value ? String(value.remedy) : "";
      return { ready: value.ready === true, message, remedy };
    }
  } catch {
    if (line !== "") return { ready: false, message: line.slice(0, 300), remedy: "" };
  }
  return { ready: false, message: "the sandbox host ended without a word", remedy: "See host.log in its directory." };
}

/** The last words of a daemon that died stay, unless they are many. */
function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return openSync(path, size < longestLogBytes ? "a" : "w", 0o600);
}

/** Resolves with the daemon's first line. Its further words go to `host.log`. */
async function spawnDaemon(options: StartSandboxHostOptions): Promise<FirstLine> {
  mkdirSync(options.directory, { recursive: true, mode: 0o711 });
  const checking = options.mode === "auto" ? checkRunsc() : { program: null };
  const programs = buildHost();
  const { program: runsc } = await checking;
  const bubblewrap = findProgram("bwrap");
  const log = openLog(join(options.directory, "host.log"));
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "main.ts"),
      ...["--directory", options.directory, "--programs", programs, "--sandbox", options.mode],
      ...(bubblewrap === null ? [] : ["--bubblewrap", bubblewrap]),
      ...(runsc === null ? [] : ["--runsc", runsc]),
      ...(options.suspend === undefined ? [] : ["--suspend", options.suspend]),
      ...(options.baseRoot === undefined ? [] : ["--base-root", options.baseRoot]),
      ...(options.ownerUid === undefined ? [] : ["--owner-uid", String(options.ownerUid)]),
      ...(options.endsWithParent === true ? ["--ends-with-input"] : []),
    ],
    {
      detached: true,
      stdio: [options.endsWithParent === true ? "pipe" : "ignore", "pipe", log],
      cwd: "/",
      env: { ...process.env, ...keepCompiled() },
    },
  );
  closeSync(log);
  child.unref();
  // Open as long as this process is, and no reason for it to go on.
  if (child.stdin instanceof Socket) child.stdin.unref();
  const { stdout } = child;
  const line = await new Promise<string>((resolve) => {
    let text = "";
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve(`the sandbox host did not start in ${startPatienceMs / 1000} seconds`);
    }, startPatienceMs);
    const finish = (): void => {
      clearTimeout(timer);
      resolve(text.split("\n")[0] ?? "");
    };
    child.once("error", (error) => {
      text = error.message;
      finish();
    });
    stdout?.on("data", (bytes: Buffer) => {
      text += bytes.toString("utf8");
      if (text.includes("\n")) finish();
    });
    stdout?.once("end", finish);
  });
  stdout?.destroy();
  return parseFirstLine(line);
}

function toHost(socketPath: string, facts: HostFacts): SandboxHost {
  return {
    socketPath,
    pid: facts.pid,
    sandboxesDirectory: facts.sandboxesDirectory,
    directoryOf: (id) => findSlot(facts.sandboxesDirectory, id),
    async stop(options) {
      const client = createHostClient({ socketPath, patienceMs: 0 });
      await client.call("shutdown", { keepSandboxes: options?.keepSandboxes === true }).catch(() => null);
      client.close();
      const deadline = performance.now() + stopPatienceMs;
      while (isAlive(facts.pid) && performance.now() < deadline) await pause(5);
    },
  };
}

/**
 * @throws SandboxUnavailableError what is missing on this machine, with the remedy.
 * @example
 * const host = await startSandboxHost({ directory: "/var/lib/exoloop", mode: "auto" });
 */
export async function startSandboxHost(options: StartSandboxHostOptions): Promise<SandboxHost> {
  const socketPath = join(options.directory, "host.sock");
  let facts = await findRunning(socketPath);
  if (facts === null) {
    const line = await spawnDaemon(options);
    facts = await findRunning(socketPath);
    /* Somebody else may be starting it at this moment. */
    for (let wait = 0; facts === null && line.message.includes("already runs") && wait < startPatienceMs; wait += 50) {
      await pause(50);
      facts = await findRunning(socketPath);
    }
    if (facts === null) {
      const message = line.ready ? "the sandbox host ended as soon as it had started" : line.message;
      throw new SandboxUnavailableError(message, line.remedy || "Run `exoloop doctor`.");
    }
    await spreadOverDisk(facts.sandboxesDirectory);
  }
  if (facts.mode !== options.mode) {
    const text = `a sandbox host in mode ${facts.mode} already runs on ${options.directory}`;
    throw new SandboxUnavailableError(text, "Stop it first, or choose another directory.");
  }
  return toHost(socketPath, facts);
}

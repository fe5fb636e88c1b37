/** Starts a supervisor as a runtime's launcher says, with what it inherits. @module */
import { spawn } from "node:child_process";
import { chmodSync, chownSync, closeSync, linkSync, openSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { readOr } from "../cgroup-host.ts";
import { type SandboxCgroups, closeAll, openEntrances } from "../cgroups.ts";
import type { HostConfiguration } from "../configuration.ts";
import type { SlotDirectories } from "../state.ts";
import type { InheritedDescriptors, LaunchPlan, Launcher } from "./launcher.ts";

export const namespaceRemedy =
  "Start this container with --security-opt seccomp=unconfined --security-opt systempaths=unconfined, use another" +
  " sandbox provider, or try things out with --sandbox weak.";

/** Characters of a launcher's log that are looked at. */
const longestLog = 4_000;
/** Where the supervisor expects the workload's entrances. */
const firstDescriptor = 3;

/** Where a supervisor will be. */
export interface Place {
  readonly directories: SlotDirectories;
  readonly userId: number | null;
  readonly cgroups: SandboxCgroups;
}

interface Listener {
  readonly descriptor: number;
  close(): void;
}

/**
 * Listens at `path`, to hand the socket to a child. Node removes a socket's name when it closes its copy, so the name
 * that stays is a second link.
 */
function listen(path: string, ownerUserId: number | null): Promise<Listener> {
  const server: Server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(`${path}.new`, () => {
      const handle: unknown = "_handle" in server ? server._handle : null;
      const descriptor = typeof handle === "object" && handle !== null && "fd" in handle ? handle.fd : null;
      if (typeof descriptor !== "number") return reject(new Error("this Node does not tell a socket's descriptor"));
      chmodSync(`${path}.new`, 0o600);
      if (ownerUserId !== null) chownSync(`${path}.new`, ownerUserId, -1);
      linkSync(`${path}.new`, path);
      resolve({ descriptor, close: () => void server.close() });
    });
  });
}

/** What went wrong, from what the launcher wrote before it ended. */
export function explainLaunchFailure(code: number | null, log: string): Error {
  const text = log.trim().split("\n").slice(-3).join(" ").slice(0, 500);
  const denied = /namespace|Operation not permitted|Permission denied|mount proc|uid map|No space left/i.test(text);
  const message = `the sandbox did not start (${code === null ? "killed" : `exit ${code}`}): ${text || "no message"}`;
  return new SandboxUnavailableError(message, denied ? namespaceRemedy : "Run `exoloop doctor`.");
}

/** A process in its slot's groups that waits for what it becomes, as long as this daemon lives. */
export interface Starter {
  readonly pid: number;
  /** Resolves once it has ended, as whatever it has become: why it did, for an error. */
  readonly failure: Promise<Error>;
  isAlive(): boolean;
  readonly descriptors: InheritedDescriptors;
  /** What it becomes outlives the daemon. The caller connects to `directories.socket` and waits for the hello. */
  become(plan: LaunchPlan): void;
}

/** Forking this process and entering groups take time: nobody should be waiting for it yet. */
export async function prepareStarter(
  { tools, ownerUserId }: HostConfiguration,
  launcher: Launcher,
  { directories, userId, cgroups }: Place,
): Promise<Starter> {
  const inherits = launcher.ownSocket(directories) === null;
  const listener = inherits ? await listen(directories.socket, ownerUserId) : null;
  const { join, work } = openEntrances(cgroups);
  const log = openSync(directories.log, "w", 0o600);
  const filter = openSync(tools.filter, "r");
  const inherited = [...work, filter, ...(listener === null ? [] : [listener.descriptor]), ...join];
  const numberOf = (descriptor: number): number => firstDescriptor + inherited.indexOf(descriptor);
  try {
    const joining = join.flatMap((descriptor) => ["--join", String(numberOf(descriptor))]);
    const child = spawn(tools.confine, [...joining, "--order", "0"], {
      cwd: "/",
      detached: true,
      // By which it is found where there are no groups.
      env: { SLOT: directories.slot },
      stdio: ["pipe", log, log, ...inherited],
      ...(userId === null ? {} : { uid: userId, gid: userId }),
    });
    child.unref();
    child.stdin?.on("error", () => {});
    const failure = new Promise<Error>((resolve) => {
      child.once("error", (error) => resolve(explainLaunchFailure(null, error.message)));
      child.once("exit", (code) => resolve(explainLaunchFailure(code, readOr(directories.log, "").slice(-longestLog))));
    });
    return {
      pid: child.pid ?? 0,
      failure,
      isAlive: () => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
      descriptors: {
        listen: listener === null ? null : numberOf(listener.descriptor),
        filter: numberOf(filter),
        work: work.length,
      },
      become: (plan) => void child.stdin?.end(encodeOrder(plan)),
    };
  } finally {
    listener?.close();
    closeSync(log);
    closeAll([filter, ...join, ...work]);
  }
}

/** As `confine.c` reads it. */
function encodeOrder({ program, programArguments, environment }: LaunchPlan): Buffer {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const words = [String(programArguments.length + 1), program, ...programArguments, ...variables, ""];
  const text = Buffer.from(words.join("\0"));
  return Buffer.concat([Buffer.from(`${text.length}\0`), text]);
}

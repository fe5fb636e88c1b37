/**
 * The demo's disaster: what a power cut, a full disk or an operator's mistake does to a sandbox. It goes behind the
 * back of the sandbox host, with SIGKILL and by deleting files, because nobody announces such things.
 * @module
 */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isId } from "@exoloop/protocol/ids";
import { CommandError } from "../exit-codes.ts";
import { type HostManifest, readManifest } from "./manifest.ts";

export interface Strike {
  /** Processes that were killed. */
  readonly processes: number;
  /** What the workspace held in the last moment. */
  readonly manifest: HostManifest;
}

/**
 * Kills every process of the sandbox and deletes its directory.
 * @param directory holds one directory for each sandbox of this machine, its slot.
 * @param recentSince files that changed at or after this instant are marked in the manifest. Milliseconds since the epoch.
 * @throws CommandError when there is no such sandbox on this machine.
 */
export async function destroySandboxOnHost(directory: string, sandboxId: string, recentSince: number): Promise<Strike> {
  if (!isId("sandbox", sandboxId)) throw new CommandError("This is not a sandbox's identifier.");
  const slot = await findSlot(directory, sandboxId);
  if (slot === null) throw new CommandError(`The sandbox ${sandboxId} has no directory on this machine.`);
  const home = join(directory, slot);
  const workspace = join(home, "workspace");
  const manifest = await readManifest(workspace, recentSince);
  const killed = await killProcessesOf(slot);
  // A process that is being killed can still create a file while its directory is deleted.
  await rm(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 10 });
  return { processes: killed, manifest };
}

/** Name of the directory whose state file says that the sandbox has it; null when there is none. */
export async function findSlot(directory: string, sandboxId: string): Promise<string | null> {
  for (const slot of await readdir(directory).catch(() => [])) {
    const state = await readFile(join(directory, slot, "state.json"), "utf8").catch(() => "null");
    if ((JSON.parse(state) as { readonly id?: unknown } | null)?.id === sandboxId) return slot;
  }
  return null;
}

const rounds = 5;

/** Again until none is left: a process may start another while its siblings are being killed. */
async function killProcessesOf(slot: string): Promise<number> {
  const killed = new Set<number>();
  for (let round = 0; round < rounds; round += 1) {
    const processes = (await listProcesses()).filter((process) => !killed.has(process.id));
    const doomed = processesOf(slot, processes);
    if (doomed.length === 0) break;
    for (const id of doomed) {
      killed.add(id);
      sendKill(id);
    }
  }
  return killed.size;
}

function sendKill(id: number): void {
  try {
    process.kill(id, "SIGKILL");
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ESRCH";
    if (!gone) throw error;
  }
}

export interface HostProcess {
  readonly id: number;
  readonly parent: number;
  /** Arguments, joined. */
  readonly command: string;
  readonly cgroup: string;
}

/** A sandbox's processes name its slot in their arguments or their cgroup, or descend from one that does. Pure. */
export function processesOf(slot: string, processes: readonly HostProcess[], self: number = process.pid): number[] {
  const doomed = new Set(
    processes.filter(({ command, cgroup }) => namesSlot(command, slot) || namesSlot(cgroup, slot)).map(({ id }) => id),
  );
  for (let size = -1; size !== doomed.size;) {
    size = doomed.size;
    for (const { id, parent } of processes) if (doomed.has(parent)) doomed.add(id);
  }
  doomed.delete(self);
  return [...doomed];
}

function namesSlot(text: string, slot: string): boolean {
  return text.split(/[^A-Za-z0-9_-]/).includes(slot);
}

async function listProcesses(): Promise<readonly HostProcess[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const read = await Promise.all(names.map(readProcess));
  return read.filter((process) => process !== null);
}

/** Null for a process that has ended meanwhile. Format: proc(5). */
async function readProcess(name: string): Promise<HostProcess | null> {
  try {
    const [status, command, cgroup] = await Promise.all(
      ["stat", "cmdline", "cgroup"].map((file) => readFile(`/proc/${name}/${file}`, "utf8")),
    );
    const [state, parent] = (status ?? "").slice((status ?? "").lastIndexOf(")") + 2).split(" ");
    if (state === "Z") return null;
    return {
      id: Number(name),
      parent: Number(parent),
      command: (command ?? "").replaceAll("\0", " "),
      cgroup: cgroup ?? "",
    };
  } catch {
    return null;
  }
}

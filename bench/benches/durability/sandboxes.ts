/** Sandboxes as the machine sees them: their supervisors and the processes of their commands. @module */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface SandboxState {
  /** Null while it waits in the pool. */
  readonly id: string | null;
  readonly supervisorPid: number | null;
  readonly cgroups: { readonly parent: string | null };
}

/** Of those that live. */
export function listSandboxIds(directory: string): readonly string[] {
  return readStates(directory).flatMap(({ id }) => (id === null ? [] : [id]));
}

/** Kills the supervisor with SIGKILL, and with it everything inside. False when there is none. */
export function killSandbox(directory: string, id: string): boolean {
  const pid = readState(directory, id)?.supervisorPid ?? null;
  if (pid === null) return false;
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

/** The control group of what its commands have started. @throws Error where there is none */
export function workloadGroup(directory: string, id: string): string {
  const parent = readState(directory, id)?.cgroups.parent ?? null;
  if (parent === null) throw new Error(`the sandbox ${id} has no control group`);
  return join(parent, "work");
}

/** What waits for the next command; it is there as long as the sandbox is. */
const waiting = "launch";

/** Host process ids of the workload's commands. */
export function workloadProcesses(group: string): readonly number[] {
  try {
    const all = readFileSync(join(group, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
    return all.filter((pid) => nameOf(pid) !== waiting);
  } catch {
    return [];
  }
}

function nameOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    // It ended: what does not exist waits for nothing, and is no command either.
    return waiting;
  }
}

function readState(directory: string, id: string): SandboxState | null {
  return readStates(directory).find((state) => state.id === id) ?? null;
}

/** One for each slot that has a sandbox in it. */
function readStates(directory: string): SandboxState[] {
  return readdirSync(directory).flatMap((slot) => {
    try {
      return [JSON.parse(readFileSync(join(directory, slot, "state.json"), "utf8")) as SandboxState];
    } catch {
      return [];
    }
  });
}

/** What the daemon writes down of each sandbox, to find it again. @module */
import { chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxCgroups, SuspendKind } from "./cgroups.ts";

export interface SandboxState {
  readonly id: string;
  /** On the host. */
  readonly userId: number;
  /** Host process id of the supervisor; null where it is not known. */
  readonly supervisorPid: number | null;
  readonly launcherPid: number;
  readonly cgroups: SandboxCgroups;
}

export interface SandboxDirectories {
  readonly root: string;
  readonly socket: string;
  readonly state: string;
  readonly log: string;
  readonly workspace: string;
  readonly skills: string;
  readonly memory: string;
  /** Only used where the sandbox has no root file system of its own. */
  readonly home: string;
  readonly temporary: string;
}

export function directoriesOf(sandboxesDirectory: string, id: string): SandboxDirectories {
  const root = join(sandboxesDirectory, id);
  return {
    root,
    socket: join(root, "run", "supervisor.sock"),
    state: join(root, "state.json"),
    log: join(root, "launch.log"),
    workspace: join(root, "workspace"),
    skills: join(root, "skills"),
    memory: join(root, "memory"),
    home: join(root, "home"),
    temporary: join(root, "tmp"),
  };
}

/** `run` stays the daemon's own: what is inside cannot reach, replace or redirect the supervisor's socket. */
export function makeDirectories(directories: SandboxDirectories): void {
  mkdirSync(directories.root, { mode: 0o711 });
  mkdirSync(join(directories.root, "run"), { mode: 0o700 });
}

export function makeOwnedDirectories(directories: SandboxDirectories, userId: number | null): void {
  const { workspace, skills, memory, home, temporary } = directories;
  for (const directory of [workspace, skills, memory, home, temporary]) {
    mkdirSync(directory, { mode: 0o700 });
    if (userId !== null) chownSync(directory, userId, userId);
  }
}

export function writeState(path: string, state: SandboxState): void {
  writeFileSync(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

const kinds: readonly string[] = ["cgroup-v2", "cgroup-v1", "signal"] satisfies SuspendKind[];

function isCgroups(value: unknown): value is SandboxCgroups {
  if (typeof value !== "object" || value === null || !("kind" in value && "parent" in value && "limits" in value))
    return false;
  const { kind, parent, limits } = value;
  const strings = Array.isArray(limits) && limits.every((limit) => typeof limit === "string");
  return typeof kind === "string" && kinds.includes(kind) && (parent === null || typeof parent === "string") && strings;
}

/** Null when there is none, or it was not written to its end. */
export function readState(path: string): SandboxState | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value !== "object" || value === null) return null;
    if (
      !("id" in value && "userId" in value && "supervisorPid" in value && "launcherPid" in value && "cgroups" in value)
    ) {
      return null;
    }
    const { id, userId, supervisorPid, launcherPid, cgroups } = value;
    if (typeof id !== "string" || typeof userId !== "number" || typeof launcherPid !== "number") return null;
    if ((supervisorPid !== null && typeof supervisorPid !== "number") || !isCgroups(cgroups)) return null;
    return { id, userId, supervisorPid, launcherPid, cgroups };
  } catch {
    return null;
  }
}

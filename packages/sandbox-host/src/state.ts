/**
 * A slot: one sandbox's place on this machine. Directories and groups are named by it; which sandbox has it is written
 * into its state file, in one step. A slot without a state file is unfinished, and of no use to a later daemon.
 * @module
 */
import { randomBytes } from "node:crypto";
import { chownSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxResources } from "@exoloop/sandbox/contract";
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import type { SandboxCgroups } from "./cgroups.ts";

export const slotPattern = /^slot-[0-9a-f]{16}$/;
const stateFormat = 2;

/** What a sandbox is made as; two that are alike can stand for one another before anybody has used them. */
export interface SandboxMake {
  readonly runtime: SandboxRuntime;
  readonly resources: SandboxResources;
  readonly environment: Readonly<Record<string, string>>;
}

export interface SandboxState extends SandboxMake {
  readonly slot: string;
  /** Null while it waits in the pool. */
  readonly id: string | null;
  readonly owner: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** On the host. */
  readonly userId: number;
  /** Host process id of the supervisor; null where it is not known. */
  readonly supervisorPid: number | null;
  readonly launcherPid: number;
  readonly cgroups: SandboxCgroups;
  /** What it had too much of when its workload was last killed for that, until it is resumed. */
  readonly limitExceeded: "disk" | "files" | null;
}

export interface SlotDirectories {
  readonly slot: string;
  readonly root: string;
  readonly run: string;
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

export function newSlotName(): string {
  return `slot-${randomBytes(8).toString("hex")}`;
}

export function directoriesOf(sandboxesDirectory: string, slot: string): SlotDirectories {
  const root = join(sandboxesDirectory, slot);
  return {
    slot,
    root,
    run: join(root, "run"),
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

/** What the sandbox writes to on the disk. */
export function ownedDirectories({ workspace, skills, memory, home, temporary }: SlotDirectories): string[] {
  return [workspace, skills, memory, home, temporary];
}

/**
 * `run` becomes the server's own: what is inside cannot reach, replace or redirect the supervisor's socket. Until that
 * is in it, it is the daemon's: who can replace it then has root give away what it likes.
 */
export function makeDirectories({ root, run }: SlotDirectories): void {
  mkdirSync(root, { mode: 0o711 });
  mkdirSync(run, { mode: 0o700 });
}

export function makeOwnedDirectories(directories: SlotDirectories, userId: number | null): void {
  for (const directory of ownedDirectories(directories)) {
    mkdirSync(directory, { mode: 0o700 });
    if (userId !== null) chownSync(directory, userId, userId);
  }
}

export function writeState(path: string, state: SandboxState): void {
  writeFileSync(`${path}.new`, JSON.stringify({ format: stateFormat, ...state }), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Null when there is none. Only the daemon can write there: what is read is as it was written. */
export function readState(path: string): SandboxState | null {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    const ours = typeof value === "object" && value !== null && "format" in value && value.format === stateFormat;
    return ours ? (value as unknown as SandboxState) : null;
  } catch {
    return null;
  }
}

/** The directory of the slot that a sandbox has. Null: it has none. */
export function findSlot(sandboxesDirectory: string, id: string): string | null {
  for (const slot of readdirSync(sandboxesDirectory)) {
    const { root, state } = directoriesOf(sandboxesDirectory, slot);
    if (readState(state)?.id === id) return root;
  }
  return null;
}

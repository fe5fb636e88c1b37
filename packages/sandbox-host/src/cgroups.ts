/**
 * Control groups of a sandbox: `init` holds the supervisor and is never stopped; `work` holds all that it starts. Both
 * share one processor quota. They are also the registry: what runs is found there after a restart.
 * @module
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type CgroupHost, type SuspendKind, attempt, readOr, v1Files } from "./cgroup-host.ts";

/** One sandbox's groups, as absolute paths, each with `init` and `work` in it; stored in its state file. */
export interface SandboxCgroups {
  readonly kind: SuspendKind;
  /** In the hierarchy that stops processes; null for `signal`. */
  readonly parent: string | null;
  readonly limits: readonly string[];
}

export interface Limits {
  readonly memoryBytes: number;
  readonly processes: number;
  readonly cpus: number;
}

/** What a supervisor may have beyond its workload: logs of 64 MiB, and frames in flight. */
const supervisorBytes = 256 << 20;
/** Threads: one for each connection and for each running command. */
const supervisorThreads = 512;
const quotaPeriodUs = 100_000;
/** A process that waits for a slow disk stops when it has been served. */
const freezePatienceMs = 30_000;
const killPatienceMs = 10_000;
const pollMs = 1;
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function cgroupsOf({ kind, group, legacy }: CgroupHost, slot: string): SandboxCgroups {
  const limits = [...new Set(Object.values(legacy))].map((one) => join(one, slot));
  return { kind, parent: group === null ? null : join(group, slot), limits };
}

function groupsOf({ parent, limits }: SandboxCgroups): string[] {
  return parent === null ? [...limits] : [parent, ...limits];
}

export function createCgroups({ group: unified, unified: names }: CgroupHost, cgroups: SandboxCgroups): void {
  for (const group of groupsOf(cgroups)) {
    mkdirSync(join(group, "init"), { recursive: true });
    mkdirSync(join(group, "work"), { recursive: true });
    if (names.length > 0 && dirname(group) === unified)
      writeFileSync(join(group, "cgroup.subtree_control"), names.map((name) => `+${name}`).join(" "));
  }
}

/** Before anything is in the groups. */
export function limitCgroups(host: CgroupHost, slot: string, limits: Limits): void {
  const set = (group: string, file: string, value: number | string): void =>
    writeFileSync(join(group, file), String(value));
  const { memory, pids, cpu } = host.legacy;
  const all = limits.memoryBytes + supervisorBytes;
  const quota = Math.max(Math.round(limits.cpus * quotaPeriodUs), 1_000);
  if (memory !== undefined) {
    const limit = (at: string, bytes: number): void => {
      set(at, v1Files.memory, bytes);
      // Absent where the kernel does not count swap.
      attempt(() => set(at, "memory.memsw.limit_in_bytes", bytes));
    };
    limit(join(memory, slot), all);
    limit(join(memory, slot, "work"), limits.memoryBytes);
  }
  if (pids !== undefined) {
    set(join(pids, slot, "work"), v1Files.pids, limits.processes);
    set(join(pids, slot, "init"), v1Files.pids, supervisorThreads);
  }
  if (cpu !== undefined) {
    set(join(cpu, slot), "cpu.cfs_period_us", quotaPeriodUs);
    set(join(cpu, slot), v1Files.cpu, quota);
  }
  if (host.group === null || host.unified.length === 0) return;
  const group = join(host.group, slot);
  if (host.unified.includes("memory")) {
    set(group, "memory.max", all);
    set(join(group, "work"), "memory.max", limits.memoryBytes);
    set(join(group, "work"), "memory.oom.group", 1);
    attempt(() => set(group, "memory.swap.max", 0));
  }
  if (host.unified.includes("pids")) {
    set(join(group, "work"), "pids.max", limits.processes);
    set(join(group, "init"), "pids.max", supervisorThreads);
  }
  if (host.unified.includes("cpu")) set(group, "cpu.max", `${quota} ${quotaPeriodUs}`);
}

/**
 * Descriptors of `cgroup.procs`: whoever holds one may enter, whatever its user. The one that may be stopped comes last.
 * The caller closes them.
 */
export function openEntrances(cgroups: SandboxCgroups): { readonly join: number[]; readonly work: number[] } {
  const entrances = (half: string): number[] =>
    groupsOf(cgroups)
      .toReversed()
      .map((group) => openSync(join(group, half, "cgroup.procs"), "w"));
  return { join: entrances("init"), work: entrances("work") };
}

export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) closeSync(descriptor);
}

function isFrozenNow(work: string, kind: SuspendKind): boolean {
  if (kind === "cgroup-v2") return readFileSync(join(work, "cgroup.events"), "utf8").includes("frozen 1");
  return readFileSync(join(work, "freezer.state"), "utf8").trim() === "FROZEN";
}

/** Whether the workload is meant to stand still. Not for `signal`. */
export function isFrozen(cgroups: SandboxCgroups): boolean {
  const work = join(cgroups.parent ?? "", "work");
  if (cgroups.kind === "cgroup-v2") return readOr(join(work, "cgroup.freeze"), "0").trim() === "1";
  return readOr(join(work, "freezer.state"), "THAWED").trim() !== "THAWED";
}

/** Resolves when no process of the workload runs. @throws Error when the kernel does not get there in time. */
export async function freeze(cgroups: SandboxCgroups): Promise<void> {
  const work = join(cgroups.parent ?? "", "work");
  if (cgroups.kind === "cgroup-v2") writeFileSync(join(work, "cgroup.freeze"), "1");
  else writeFileSync(join(work, "freezer.state"), "FROZEN");
  const deadline = performance.now() + freezePatienceMs;
  for (let round = 0; !isFrozenNow(work, cgroups.kind); round++) {
    if (performance.now() > deadline) throw new Error("the workload did not stop in time");
    if (round > 20) await pause(pollMs);
  }
}

export function thaw(cgroups: SandboxCgroups): void {
  const work = join(cgroups.parent ?? "", "work");
  if (cgroups.kind === "cgroup-v2") writeFileSync(join(work, "cgroup.freeze"), "0");
  else writeFileSync(join(work, "freezer.state"), "THAWED");
}

function listProcesses(group: string): number[] {
  return readOr(join(group, "cgroup.procs"), "").split("\n").filter(Boolean).map(Number);
}

/** `init` is the supervisor and its own helpers, the supervisor first. None where there are no groups. */
export function processesIn(cgroups: SandboxCgroups, half: "init" | "work"): number[] {
  const [group] = groupsOf(cgroups);
  return group === undefined ? [] : listProcesses(join(group, half));
}

/** Kills all that is in some groups, stopped or not. */
async function killAll(groups: readonly string[], cgroups: SandboxCgroups, deadline: number): Promise<void> {
  for (;;) {
    const processes = groups.flatMap(listProcesses);
    if (processes.length === 0 || performance.now() > deadline) return;
    for (const pid of processes) attempt(() => process.kill(pid, "SIGKILL"));
    // A process that the v1 freezer holds dies when it is let go.
    if (cgroups.kind === "cgroup-v1") attempt(() => thaw(cgroups));
    await pause(pollMs);
  }
}

/** The supervisor lives on, and what stood still still does. Not beside `freeze`. False: no group to find the workload by. */
export async function killWorkload(cgroups: SandboxCgroups): Promise<boolean> {
  const [group] = groupsOf(cgroups);
  if (group === undefined) return false;
  const work = join(group, "work");
  if (attempt(() => writeFileSync(join(work, "cgroup.kill"), "1", { flag: "r+" }))) return true;
  const frozen = cgroups.kind === "cgroup-v1" && isFrozen(cgroups);
  await killAll([work], cgroups, performance.now() + killPatienceMs);
  if (frozen) await freeze(cgroups);
  return true;
}

/** Kills everything in both halves, stopped or not, and removes the groups. Idempotent. */
export async function removeCgroups(cgroups: SandboxCgroups): Promise<void> {
  const parents = groupsOf(cgroups);
  const halves = parents.flatMap((group) => [join(group, "init"), join(group, "work")]);
  const deadline = performance.now() + killPatienceMs;
  for (const group of parents) attempt(() => writeFileSync(join(group, "cgroup.kill"), "1", { flag: "r+" }));
  await killAll(halves, cgroups, deadline);
  for (const group of [...halves, ...parents]) await removeGroup(group, deadline);
}

/** A dying process keeps its group busy for a moment. */
async function removeGroup(group: string, deadline: number): Promise<void> {
  for (;;) {
    try {
      return rmdirSync(group);
    } catch (error) {
      const busy = error instanceof Error && "code" in error && error.code === "EBUSY";
      if (!busy || performance.now() > deadline) return;
      await pause(pollMs);
    }
  }
}

/**
 * Control groups of a sandbox: `init` holds the supervisor and is never stopped; `work` holds all that it starts. Both
 * share one processor quota. They are also the registry: what runs is found there after a restart.
 * @module
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

export type SuspendKind = "cgroup-v2" | "cgroup-v1" | "signal";
type Controller = "memory" | "pids" | "cpu";
const controllers: readonly Controller[] = ["memory", "pids", "cpu"];

/** Where this machine's groups are. */
export interface CgroupHost {
  readonly kind: SuspendKind;
  /** Our directory in the hierarchy that stops processes; null for `signal`. */
  readonly group: string | null;
  /** What that hierarchy limits too (v2). */
  readonly unified: readonly Controller[];
  /** Our directories in the v1 hierarchies, for what it does not limit. */
  readonly legacy: Readonly<Partial<Record<Controller, string>>>;
  /** `cgroup.procs` of this process's own group, which {@link prepareEntering} writes to. */
  readonly ownProcesses: string | null;
}

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
const v1Files = { memory: "memory.limit_in_bytes", pids: "pids.max", cpu: "cpu.cfs_quota_us" } as const;

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/** Mount points from mountinfo(5): fields around the lone dash. */
function findMount(type: string, option: string | null): string | null {
  for (const line of readOr("/proc/self/mountinfo", "").split("\n")) {
    const [before, after] = line.split(" - ");
    const mountPoint = before?.split(" ")[4];
    const [mountType, , options] = after?.split(" ") ?? [];
    const matches = mountType === type && (option === null || options?.split(",").includes(option) === true);
    if (matches && mountPoint !== undefined) return mountPoint;
  }
  return null;
}

/** This process's own group in the hierarchy of a controller; `""` is v2's. */
function ownGroup(mount: string, controller: string): string {
  const own = readOr("/proc/self/cgroup", "")
    .split("\n")
    .map((line) => line.split(":"))
    .find(([, names]) => names?.split(",").includes(controller) === true);
  return join(mount, own?.[2] ?? "/");
}

/** Makes our directory at the mount's root, or below our own group where only that is ours to change. */
function makeGroup(mount: string | null, controller: string, name: string): string | null {
  if (mount === null) return null;
  for (const base of [mount, ownGroup(mount, controller)]) {
    const group = join(base, name);
    if (attempt(() => mkdirSync(group, { recursive: true }))) return group;
  }
  return null;
}

function canFreezeV2(group: string): boolean {
  const probe = join(group, "probe");
  return attempt(() => {
    mkdirSync(probe, { recursive: true });
    writeFileSync(join(probe, "cgroup.freeze"), "1");
    rmdirSync(probe);
  });
}

function enableController(group: string, controller: Controller): boolean {
  attempt(() => writeFileSync(join(group, "..", "cgroup.subtree_control"), `+${controller}`));
  return attempt(() => writeFileSync(join(group, "cgroup.subtree_control"), `+${controller}`));
}

/** @param name directory name, distinct for each host daemon. @param only considers just this kind. */
export function discoverCgroups(name: string, only?: SuspendKind): CgroupHost {
  const wants = (kind: SuspendKind): boolean => only === undefined || only === kind;
  const unifiedMount = findMount("cgroup2", null);
  const freezerMount = findMount("cgroup", "freezer");
  const made = wants("cgroup-v2") ? makeGroup(unifiedMount, "", name) : null;
  const v2 = made !== null && canFreezeV2(made) ? made : null;
  const v1 = v2 === null && wants("cgroup-v1") ? makeGroup(freezerMount, "freezer", name) : null;
  const unified = v2 === null ? [] : controllers.filter((controller) => enableController(v2, controller));
  const legacy: Partial<Record<Controller, string>> = {};
  for (const controller of controllers) {
    if (unified.includes(controller)) continue;
    const group = makeGroup(findMount("cgroup", controller), controller, name);
    if (group === null) continue;
    const probe = join(group, "probe");
    if (attempt(() => mkdirSync(probe, { recursive: true })) && existsSync(join(probe, v1Files[controller])))
      legacy[controller] = group;
    attempt(() => rmdirSync(probe));
  }
  const base = { unified, legacy };
  if (v2 !== null)
    return {
      ...base,
      kind: "cgroup-v2",
      group: v2,
      ownProcesses: join(ownGroup(unifiedMount ?? "", ""), "cgroup.procs"),
    };
  if (v1 !== null)
    return {
      ...base,
      kind: "cgroup-v1",
      group: v1,
      ownProcesses: join(ownGroup(freezerMount ?? "", "freezer"), "cgroup.procs"),
    };
  return { ...base, kind: "signal", group: null, ownProcesses: null };
}

function limitsOf(host: CgroupHost, controller: Controller): boolean {
  return host.unified.includes(controller) || host.legacy[controller] !== undefined;
}

export function hasResourceLimits(host: CgroupHost): boolean {
  return limitsOf(host, "memory") && limitsOf(host, "pids");
}

export function hasCpuLimit(host: CgroupHost): boolean {
  return limitsOf(host, "cpu");
}

/** @param kind `signal` where the runtime's processes must not be stopped from outside. */
export function cgroupsOf(host: CgroupHost, slot: string, kind: SuspendKind = host.kind): SandboxCgroups {
  const legacy = [...new Set(Object.values(host.legacy))].map((group) => join(group, slot));
  const own = host.group === null ? null : join(host.group, slot);
  if (kind !== "signal" || own === null) return { kind, parent: own, limits: legacy };
  return { kind, parent: null, limits: [own, ...legacy] };
}

function groupsOf({ parent, limits }: SandboxCgroups): string[] {
  return parent === null ? [...limits] : [parent, ...limits];
}

export function createCgroups(cgroups: SandboxCgroups): void {
  for (const group of groupsOf(cgroups)) {
    mkdirSync(join(group, "init"), { recursive: true });
    mkdirSync(join(group, "work"), { recursive: true });
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
    const group = join(memory, slot);
    for (const [at, bytes] of [
      [group, all],
      [join(group, "work"), limits.memoryBytes],
    ] as const) {
      set(at, v1Files.memory, bytes);
      // Absent where the kernel does not count swap.
      attempt(() => set(at, "memory.memsw.limit_in_bytes", bytes));
    }
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
  set(group, "cgroup.subtree_control", host.unified.map((controller) => `+${controller}`).join(" "));
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
 * The first process in a while that enters a group waits 5 to 8 ms for a grace period of the kernel; those after it do
 * not. Writing our own id to the group that we are in changes nothing and takes the wait on itself, beside other work.
 */
export function prepareEntering(host: CgroupHost): void {
  if (host.ownProcesses !== null) void writeFile(host.ownProcesses, "0").catch(() => {});
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

/** Of `init`: null where there are no groups. */
export function findSupervisor(cgroups: SandboxCgroups): number | null {
  const [group] = groupsOf(cgroups);
  return group === undefined ? null : (listProcesses(join(group, "init"))[0] ?? null);
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

/** The supervisor lives on. False: there is no group to find the workload by. */
export async function killWorkload(cgroups: SandboxCgroups): Promise<boolean> {
  const [group] = groupsOf(cgroups);
  if (group === undefined) return false;
  const work = join(group, "work");
  if (!attempt(() => writeFileSync(join(work, "cgroup.kill"), "1", { flag: "r+" })))
    await killAll([work], cgroups, performance.now() + killPatienceMs);
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

function hostGroups(host: CgroupHost): string[] {
  return [...(host.group === null ? [] : [host.group]), ...Object.values(host.legacy)];
}

/** Every slot that has a group here, whether or not it has a directory. */
export function listGroupNames(host: CgroupHost): string[] {
  const names = new Set<string>();
  for (const group of hostGroups(host)) {
    attempt(() => {
      for (const entry of readdirSync(group, { withFileTypes: true })) if (entry.isDirectory()) names.add(entry.name);
    });
  }
  return [...names];
}

/** Removes our own directories, when nothing is left in them. */
export function removeHostGroups(host: CgroupHost): void {
  for (const group of hostGroups(host)) attempt(() => rmdirSync(group));
}

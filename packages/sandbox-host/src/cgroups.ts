/**
 * Control groups of a sandbox: `init` holds the supervisor and is never stopped; `work` holds all that it starts.
 * They are also the registry: what runs is found there after a restart.
 * @module
 */
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type SuspendKind = "cgroup-v2" | "cgroup-v1" | "signal";

/** Where this machine's groups are. */
export interface CgroupHost {
  readonly kind: SuspendKind;
  /** Our directory in the hierarchy that stops processes; null for `signal`. */
  readonly group: string | null;
  /** Memory and process limits go on `work` itself. */
  readonly unifiedLimits: boolean;
  /** Our directories in the v1 hierarchies that limit memory and processes. */
  readonly memoryGroup: string | null;
  readonly pidsGroup: string | null;
}

/** One sandbox's groups, as absolute paths; stored in its state file. */
export interface SandboxCgroups {
  readonly kind: SuspendKind;
  readonly parent: string | null;
  /** Further groups that the workload joins. */
  readonly limits: readonly string[];
}

/** A process that waits for a slow disk stops when it has been served. */
const freezePatienceMs = 30_000;
const killPatienceMs = 10_000;
const pollMs = 1;

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

/** Makes our directory at the mount's root, or below our own group where only that is ours to change. */
function makeGroup(mount: string | null, controller: string, name: string): string | null {
  if (mount === null) return null;
  const own = readOr("/proc/self/cgroup", "")
    .split("\n")
    .map((line) => line.split(":"))
    .find(([, controllers]) => controllers?.split(",").includes(controller) === true);
  for (const base of [mount, join(mount, own?.[2] ?? "/")]) {
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

function enableControllers(group: string): boolean {
  return attempt(() => {
    writeFileSync(join(group, "..", "cgroup.subtree_control"), "+memory +pids");
    writeFileSync(join(group, "cgroup.subtree_control"), "+memory +pids");
  });
}

/** @param name directory name, distinct for each host daemon. @param only considers just this kind. */
export function discoverCgroups(name: string, only?: SuspendKind): CgroupHost {
  const memoryGroup = makeGroup(findMount("cgroup", "memory"), "memory", name);
  const pidsGroup = makeGroup(findMount("cgroup", "pids"), "pids", name);
  const limits = { unifiedLimits: false, memoryGroup, pidsGroup };
  const v2 = only === undefined || only === "cgroup-v2" ? makeGroup(findMount("cgroup2", null), "", name) : null;
  if (v2 !== null && canFreezeV2(v2))
    return { ...limits, kind: "cgroup-v2", group: v2, unifiedLimits: enableControllers(v2) };
  const v1 =
    only === undefined || only === "cgroup-v1" ? makeGroup(findMount("cgroup", "freezer"), "freezer", name) : null;
  if (v1 !== null) return { ...limits, kind: "cgroup-v1", group: v1 };
  return { ...limits, kind: "signal", group: null };
}

export function hasResourceLimits(host: CgroupHost): boolean {
  return host.unifiedLimits || (host.memoryGroup !== null && host.pidsGroup !== null);
}

export interface Limits {
  readonly memoryBytes: number;
  readonly processes: number;
}

function makeLimit(group: string | null, id: string, file: string, value: number): string[] {
  if (group === null) return [];
  const directory = join(group, id);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, file), String(value));
  return [directory];
}

export function createCgroups(host: CgroupHost, id: string, limits: Limits): SandboxCgroups {
  const parent = host.group === null ? null : join(host.group, id);
  if (parent !== null) {
    mkdirSync(join(parent, "init"), { recursive: true });
    mkdirSync(join(parent, "work"), { recursive: true });
  }
  if (host.unifiedLimits && parent !== null) {
    writeFileSync(join(parent, "cgroup.subtree_control"), "+memory +pids");
    writeFileSync(join(parent, "work", "memory.max"), String(limits.memoryBytes));
    writeFileSync(join(parent, "work", "pids.max"), String(limits.processes));
    return { kind: host.kind, parent, limits: [] };
  }
  return {
    kind: host.kind,
    parent,
    limits: [
      ...makeLimit(host.memoryGroup, id, "memory.limit_in_bytes", limits.memoryBytes),
      ...makeLimit(host.pidsGroup, id, "pids.max", limits.processes),
    ],
  };
}

/**
 * Descriptors of `cgroup.procs`: whoever holds one may enter, whatever its user. The one that may be stopped comes last.
 * The caller closes them.
 */
export function openEntrances(cgroups: SandboxCgroups): { readonly join: number[]; readonly work: number[] } {
  const entrance = (group: string): number => openSync(join(group, "cgroup.procs"), "w");
  const { parent } = cgroups;
  if (parent === null) return { join: [], work: cgroups.limits.map(entrance) };
  return { join: [entrance(join(parent, "init"))], work: [...cgroups.limits, join(parent, "work")].map(entrance) };
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

export function listProcesses(group: string): number[] {
  return readOr(join(group, "cgroup.procs"), "").split("\n").filter(Boolean).map(Number);
}

/** Kills everything in both groups, stopped or not, and removes the groups. Idempotent. */
export async function removeCgroups(cgroups: SandboxCgroups): Promise<void> {
  const { parent } = cgroups;
  const halves = parent === null ? [] : [join(parent, "init"), join(parent, "work")];
  const groups = [...halves, ...cgroups.limits];
  const deadline = performance.now() + killPatienceMs;
  const killed = parent !== null && attempt(() => writeFileSync(join(parent, "cgroup.kill"), "1"));
  for (;;) {
    const processes = groups.flatMap(listProcesses);
    if (processes.length === 0 || performance.now() > deadline) break;
    if (!killed) for (const pid of processes) attempt(() => process.kill(pid, "SIGKILL"));
    if (!killed && parent !== null) attempt(() => thaw(cgroups));
    await pause(pollMs);
  }
  for (const group of parent === null ? groups : [...groups, parent]) await removeGroup(group, deadline);
}

/** A dying process keeps its group busy for a moment. */
async function removeGroup(group: string, deadline: number): Promise<void> {
  for (;;) {
    try {
      rmdirSync(group);
      return;
    } catch (error) {
      const busy = error instanceof Error && "code" in error && error.code === "EBUSY";
      if (!busy || performance.now() > deadline) return;
      await pause(pollMs);
    }
  }
}

/** Every sandbox that has a group here, whether or not it has a directory. */
export function listGroupIds(host: CgroupHost): string[] {
  const ids = new Set<string>();
  for (const group of [host.group, host.memoryGroup, host.pidsGroup]) {
    if (group === null) continue;
    attempt(() => {
      for (const entry of readdirSync(group, { withFileTypes: true })) if (entry.isDirectory()) ids.add(entry.name);
    });
  }
  return [...ids];
}

export function cgroupsOf(host: CgroupHost, id: string): SandboxCgroups {
  const limits = [host.memoryGroup, host.pidsGroup].filter((group) => group !== null).map((group) => join(group, id));
  return {
    kind: host.kind,
    parent: host.group === null ? null : join(host.group, id),
    limits: host.unifiedLimits ? [] : limits,
  };
}

/** Removes our own directories, when nothing is left in them. */
export function removeHostGroups(host: CgroupHost): void {
  for (const group of [host.group, host.memoryGroup, host.pidsGroup]) {
    if (group !== null) attempt(() => rmdirSync(group));
  }
}

/** Where this machine's control groups are, and what they can do: v2, v1, or both beside each other. @module */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
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

export const v1Files = { memory: "memory.limit_in_bytes", pids: "pids.max", cpu: "cpu.cfs_quota_us" } as const;

export function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}

export function attempt(work: () => void): boolean {
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
  // First v1's: v2's shares a lock with all that enter a group, and a thaw then waits for a grace period of the kernel.
  const v1 = wants("cgroup-v1") ? makeGroup(freezerMount, "freezer", name) : null;
  const made = v1 === null && wants("cgroup-v2") ? makeGroup(unifiedMount, "", name) : null;
  const v2 = made !== null && canFreezeV2(made) ? made : null;
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
  const group = v2 ?? v1;
  const own = v2 === null ? ownGroup(freezerMount ?? "", "freezer") : ownGroup(unifiedMount ?? "", "");
  const kind = v2 !== null ? "cgroup-v2" : v1 === null ? "signal" : "cgroup-v1";
  return { kind, group, unified, legacy, ownProcesses: group === null ? null : join(own, "cgroup.procs") };
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

/** Shorter than the kernel's grace period. */
const enteringPollMs = 3;

/**
 * The first process in a while that enters a group waits 5 to 8 ms for a grace period of the kernel; those that follow
 * within another such period do not. Writing our own id to the group that we are in changes nothing and takes the wait
 * on itself, beside other work, again and again until the returned function is called.
 */
export function prepareEntering({ ownProcesses }: CgroupHost): () => void {
  if (ownProcesses === null) return () => {};
  const enter = (): void => void writeFile(ownProcesses, "0").catch(() => {});
  enter();
  const timer = setInterval(enter, enteringPollMs);
  return () => clearInterval(timer);
}

function hostGroups(host: CgroupHost): string[] {
  return [...(host.group === null ? [] : [host.group]), ...Object.values(host.legacy)];
}

/** Every slot that has a group here, whether or not it has a directory. */
export function listGroupNames(host: CgroupHost): string[] {
  const groups = hostGroups(host).filter((group) => existsSync(group));
  const entries = groups.flatMap((group) => readdirSync(group, { withFileTypes: true }));
  return [...new Set(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name))];
}

/** Removes our own directories, when nothing is left in them. */
export function removeHostGroups(host: CgroupHost): void {
  for (const group of hostGroups(host)) attempt(() => rmdirSync(group));
}

/** One host user id per sandbox, so that no two of them, and nothing else on the machine, share one. @module */
import { randomUUID } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { readOr } from "./cgroup-host.ts";

const preferredFirst = 1_879_100_000;
const preferredCount = 65_536;
/** In a container whose user ids are mapped: the last of them, with room left for nobody (65534). */
const mappedCount = 4_000;
const mappedLeast = 20_000;
/** One file per id in use, naming the sandbox's directory: shared by all host daemons of the machine. */
const leases = "/run/exoloop-user-ids";

export interface UserIdRange {
  readonly first: number;
  readonly count: number;
}

/** The ids that may be given to sandboxes, by /proc/self/uid_map (user_namespaces(7)). Null: this process is not root. */
export function findUserIds(map: string, userId: number): UserIdRange | null {
  if (userId !== 0) return null;
  const ranges = map
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([first = 0, , count = 0]) => ({ first, end: first + count }));
  if (ranges.some(({ first, end }) => first <= preferredFirst && preferredFirst + preferredCount <= end)) {
    return { first: preferredFirst, count: preferredCount };
  }
  for (const { first, end } of ranges) {
    const start = Math.min(end, 65_534) - mappedCount;
    if (start >= Math.max(first, mappedLeast)) return { first: start, count: mappedCount };
  }
  throw new SandboxUnavailableError(
    "root has no other user ids here, and a sandbox never runs as root",
    "Run as an ordinary user, or in a container with at least 65536 user ids.",
  );
}

/** Created under another name and linked, so that no other daemon ever reads a lease before it is written. */
function createLease(lease: string, sandboxDirectory: string): boolean {
  const aside = `${lease}.${randomUUID()}`;
  writeFileSync(aside, sandboxDirectory, { flag: "wx", mode: 0o600 });
  try {
    linkSync(aside, lease);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/**
 * A lease is stale when its sandbox has no directory and no process has its id any more: somebody may have deleted the
 * directory while processes were still being killed. Of several daemons that find it stale, the one whose rename
 * succeeds removes it.
 */
function removeStaleLease(lease: string, userId: number): boolean {
  const aside = `${lease}.${randomUUID()}`;
  try {
    if (existsSync(readFileSync(lease, "utf8")) || processesOf(userId).length > 0) return false;
    renameSync(lease, aside);
    // Another daemon replaced the stale lease in between: it gets its own back.
    if (existsSync(readFileSync(aside, "utf8"))) linkSync(aside, lease);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(aside, { force: true });
  }
}

function tryLease(userId: number, sandboxDirectory: string): boolean {
  const lease = join(leases, String(userId));
  if (existsSync(lease) && !removeStaleLease(lease, userId)) return false;
  return createLease(lease, sandboxDirectory);
}

/**
 * Living processes with this real user id (proc(5), /proc/PID/status). A zombie has ended: only its parent has not taken
 * notice yet.
 */
export function processesOf(userId: number): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    // Empty when it ended while the list was read.
    const status = readOr(`/proc/${name}/status`, "");
    return /^Uid:\s+(\d+)/m.exec(status)?.[1] === String(userId) && !/^State:\s+Z/m.test(status) ? [Number(name)] : [];
  });
}

/** Real user id. Null: there is no such process. */
export function userOf(pid: number): number | null {
  const user = /^Uid:\s+(\d+)/m.exec(readOr(`/proc/${pid}/status`, ""))?.[1];
  return user === undefined ? null : Number(user);
}

/** Where the search for a free one begins: an id rests before it is used again. */
let next = 0;

/** `sandboxDirectory` exists. @throws Error when all are taken. */
export function leaseUserId(range: UserIdRange, sandboxDirectory: string): number {
  mkdirSync(leases, { recursive: true, mode: 0o700 });
  for (let tried = 0; tried < range.count; tried++) {
    const userId = range.first + (next++ % range.count);
    if (tryLease(userId, sandboxDirectory)) return userId;
  }
  throw new Error(`all ${range.count} user ids for sandboxes are in use`);
}

export function returnUserId(userId: number): void {
  rmSync(join(leases, String(userId)), { force: true });
}

/** Which directory below `parent` has which user id, whether or not it still exists. */
export function listLeases(parent: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const name of existsSync(leases) ? readdirSync(leases) : []) {
    if (!/^\d+$/.test(name)) continue;
    const directory = readOr(join(leases, name), "");
    if (dirname(directory) === parent) found.set(directory, Number(name));
  }
  return found;
}

/**
 * Living processes of this user that a slot's name gives away: as an argument, in the environment, or by a directory
 * that is mounted for them. For daemons that cannot give a sandbox a user id of its own.
 */
export function processesOfSlot(slot: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    const known = ["cmdline", "environ", "mountinfo"].some((file) =>
      readOr(`/proc/${name}/${file}`, "").includes(slot),
    );
    return known && !/^State:\s+Z/m.test(readOr(`/proc/${name}/status`, "")) ? [Number(name)] : [];
  });
}

/** One host user id per sandbox, so that no two of them, and nothing else on the machine, share one. @module */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";

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

function tryLease(userId: number, sandboxDirectory: string): boolean {
  const lease = join(leases, String(userId));
  try {
    writeFileSync(lease, sandboxDirectory, { flag: "wx", mode: 0o600 });
    return true;
  } catch {
    if (existsSync(readFileSync(lease, "utf8"))) return false;
    rmSync(lease, { force: true });
    return tryLease(userId, sandboxDirectory);
  }
}

/** `sandboxDirectory` exists. @throws Error when all are taken. */
export function leaseUserId(range: UserIdRange, sandboxDirectory: string): number {
  mkdirSync(leases, { recursive: true, mode: 0o700 });
  for (let number = 0; number < range.count; number++) {
    if (tryLease(range.first + number, sandboxDirectory)) return range.first + number;
  }
  throw new Error(`all ${range.count} user ids for sandboxes are in use`);
}

export function returnUserId(userId: number): void {
  rmSync(join(leases, String(userId)), { force: true });
}

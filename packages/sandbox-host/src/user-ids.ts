/** One host user id per sandbox, so that no two of them, and nothing else on the machine, share one. @module */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const firstUserId = 1_879_100_000;
const userIdCount = 65_536;
/** One file per id in use, naming the sandbox's directory: shared by all host daemons of the machine. */
const leases = "/run/exoloop-user-ids";

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

/** The caller is root, and `sandboxDirectory` exists. @throws Error when all are taken. */
export function leaseUserId(sandboxDirectory: string): number {
  mkdirSync(leases, { recursive: true, mode: 0o700 });
  for (let number = 0; number < userIdCount; number++) {
    if (tryLease(firstUserId + number, sandboxDirectory)) return firstUserId + number;
  }
  throw new Error(`all ${userIdCount} user ids for sandboxes are in use`);
}

export function returnUserId(userId: number): void {
  if (userId >= firstUserId) rmSync(join(leases, String(userId)), { force: true });
}

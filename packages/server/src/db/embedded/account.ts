/**
 * The account Postgres runs as. Postgres refuses to run as root, so root drops to `nobody`: every Linux and macOS
 * machine has it, and initdb insists on a name for its user id.
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { StartupError } from "../../errors.ts";

/** Null: the account of this process, which is not root. */
export type Account = { readonly uid: number; readonly gid: number } | null;

export function databaseAccount(): Account {
  if (process.getuid?.() !== 0) return null;
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === "nobody" && Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new StartupError(
    "The embedded Postgres cannot run as root and this machine has no user `nobody` to run it as: start Exoloop as another user, or set DATABASE_URL.",
  );
}

/**
 * The first directory on the way to `path` that the account may not enter, or null when it can reach the path. Judged by
 * mode bits alone: an access-control list that grants more costs a needless copy, one that grants less fails later.
 */
export function firstBarrier(path: string, account: Account): string | null {
  if (account === null) return null;
  for (let current = path; ; current = dirname(current)) {
    const status = statSync(current);
    const executable =
      status.uid === account.uid
        ? status.mode & 0o100
        : status.gid === account.gid
          ? status.mode & 0o010
          : status.mode & 0o001;
    if (executable === 0) return current;
    if (current === dirname(current)) return null;
  }
}

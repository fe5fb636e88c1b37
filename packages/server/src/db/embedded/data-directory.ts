/**
 * The data directory: made aside and put in its place by one rename, so that it is whole or not there.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartupError } from "../../errors.ts";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { databaseUser } from "./connection-file.ts";

/** Without the parent's environment: a stray PG* variable must not change what is initialised or started. */
export const serverEnvironment = { PATH: "/usr/bin:/bin", LANG: "C", LC_ALL: "C", TZ: "UTC" };

/** The identity to spawn a child with. */
export function spawnIdentity(account: Account): { uid?: number; gid?: number } {
  return account === null ? {} : { uid: account.uid, gid: account.gid };
}

const passwordFile = "exoloop.password";

export function readPassword(data: string): string {
  return readFileSync(join(data, passwordFile), "utf8").trim();
}

/**
 * Makes the data directory unless it exists; true when it was made now. The password is kept inside it, so that the two
 * can never differ.
 * @throws StartupError when initdb fails.
 */
export async function ensureData(data: string, binaries: Binaries, account: Account): Promise<boolean> {
  if (existsSync(join(data, "PG_VERSION"))) return false;
  const aside = `${data}.new-${randomUUID()}`;
  mkdirSync(aside, { mode: 0o700 });
  chmodSync(aside, 0o700);
  const password = randomBytes(24).toString("hex");
  const handover = `${aside}.password`;
  writeFileSync(handover, password, { mode: 0o600, flag: "wx" });
  if (account !== null) {
    chownSync(aside, account.uid, account.gid);
    chownSync(handover, account.uid, account.gid);
  }
  try {
    await runInitdb(binaries.initdb, aside, handover, account);
    renameSync(handover, join(aside, passwordFile));
    renameSync(aside, data);
    return true;
  } finally {
    rmSync(aside, { recursive: true, force: true });
    rmSync(handover, { force: true });
  }
}

async function runInitdb(initdb: string, data: string, handover: string, account: Account): Promise<void> {
  // --no-sync: the files are synced after the server is up, by `syncData`; the server itself always runs with fsync on.
  const parameters = [
    ["-D", data, "-U", databaseUser, "-A", "scram-sha-256", `--pwfile=${handover}`],
    ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
  ].flat();
  const child = spawn(initdb, parameters, {
    ...spawnIdentity(account),
    cwd: "/",
    env: serverEnvironment,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-4000);
  });
  const outcome = await ended(child);
  if (outcome.code !== 0) throw initialisationError(data, complaint, outcome.error);
}

function initialisationError(data: string, complaint: string, error: Error | undefined): StartupError {
  if (/No space left|ENOSPC|quota exceeded/i.test(complaint)) {
    return new StartupError(
      `The disk that holds ${data} is full: free about 100 MB, point EXOLOOP_HOME to another disk, or set DATABASE_URL.`,
    );
  }
  // The file is there and yet "not found": its dynamic loader is missing.
  if (error !== undefined && "code" in error && error.code === "ENOENT") {
    return new StartupError(
      "The embedded Postgres needs glibc, which this system (Alpine?) does not have: use a Debian-based image, or set DATABASE_URL.",
    );
  }
  const lines = complaint.split("\n").filter((line) => /error|fatal|cannot|could not/i.test(line));
  const reason = (lines[0] ?? error?.message ?? "initdb gave no reason").trim();
  return new StartupError(
    `The embedded Postgres could not be initialised (${reason}): mend that, or set DATABASE_URL.`,
  );
}

/** Writes a directory that was made with --no-sync to disk, in the background: for minutes-long durability, not for now. */
export function syncData(data: string, binaries: Binaries, account: Account): ChildProcess {
  const child = spawn(binaries.initdb, ["--sync-only", "-D", data], {
    ...spawnIdentity(account),
    cwd: "/",
    env: serverEnvironment,
    stdio: "ignore",
    detached: true,
  });
  child.on("error", () => undefined);
  child.unref();
  return child;
}

export function ended(child: ChildProcess): Promise<{ code: number | null; error?: Error }> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: null, error }));
    child.once("close", (code) => resolve({ code }));
  });
}

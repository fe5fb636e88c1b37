/**
 * A lock between processes that are about to start the same server: a file created with O_EXCL that names its holder. A
 * dead holder's lock is taken over. It spares work and never guards data: initialising ends in one rename, and Postgres
 * itself refuses a second postmaster on a data directory.
 * @module
 */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isRunning, ownIdentity, type ProcessIdentity } from "./process-identity.ts";

export interface StartLock {
  release(): void;
}

/** Takes the lock, or returns null when a living process holds it. Does not wait. */
export function tryStartLock(path: string): StartLock | null {
  if (create(path)) return { release: () => releaseOwn(path) };
  const found = read(path);
  if (found === null) return null;
  const holder = parseHolder(found);
  if (holder !== null && isRunning(holder)) return null;
  if (!removeStale(path, found)) return null;
  return create(path) ? { release: () => releaseOwn(path) } : null;
}

function create(path: string): boolean {
  // Written aside and linked, so that a lock is never seen without its holder's name.
  const aside = `${path}.${randomUUID()}`;
  writeFileSync(aside, JSON.stringify(ownIdentity()), { flag: "wx", mode: 0o600 });
  try {
    linkSync(aside, path);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/** Renames before removing: of several that judged the same lock stale, one gets it, and nobody removes a newer lock. */
function removeStale(path: string, expected: string): boolean {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return true;
    throw error;
  }
  const taken = readFileSync(aside, "utf8");
  try {
    // Somebody else replaced the stale lock in between: give the living holder's lock back.
    if (taken !== expected) linkSync(aside, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
  return taken === expected;
}

function releaseOwn(path: string): void {
  const found = read(path);
  const holder = found === null ? null : parseHolder(found);
  const own = ownIdentity();
  if (holder?.pid === own.pid && holder.start === own.start) rmSync(path, { force: true });
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  }
}

function parseHolder(text: string): ProcessIdentity | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("pid" in value) || !("start" in value)) return null;
    return typeof value.pid === "number" && typeof value.start === "string"
      ? { pid: value.pid, start: value.start }
      : null;
  } catch {
    return null;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

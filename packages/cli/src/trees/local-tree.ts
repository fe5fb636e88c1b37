/**
 * A local folder that goes with a directory of stored files. What was last pulled or pushed is kept beside the files,
 * so that a push replaces exactly the versions that were there, and nobody's work in between is lost.
 * @module
 */
import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { CommandError, exitCodes } from "../exit-codes.ts";

export const stateFile = ".exoloop-files.json";
const skipped = new Set([".git", "node_modules", stateFile]);
const mostFiles = 20_000;

/**
 * Whether a path belongs to git, npm or this program: such a file is neither pulled nor pushed. One that a model has
 * stored would be run by whoever uses git in the folder.
 * @example isKeptApart("a/.git/hooks/post-commit") // true
 */
export function isKeptApart(path: string): boolean {
  return path.split("/").some((segment) => skipped.has(segment.toLowerCase()));
}

export interface LocalFile {
  /** Below the folder, with slashes. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly executable: boolean;
}

export interface TreeState {
  /** The stored directory. */
  readonly path: string;
  /** Path below the folder → what was there when the two were last equal. */
  readonly files: Readonly<Record<string, { readonly version: number; readonly sha256: string }>>;
}

/** @throws CommandError when the folder belongs to another directory, or its state cannot be read */
export async function readState(folder: string, path: string): Promise<TreeState> {
  const empty = { path, files: {} };
  let text: string;
  try {
    text = await readFile(join(folder, stateFile), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return empty;
    throw error;
  }
  const state = parseState(text);
  if (state === null)
    throw new CommandError(`${join(folder, stateFile)} cannot be read: delete it and pull again.`, exitCodes.usage);
  if (state.path === path) return state;
  throw new CommandError(`${folder} goes with ${state.path}, not with ${path}: use another folder.`, exitCodes.usage);
}

function parseState(text: string): TreeState | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || typeof value["path"] !== "string" || !isRecord(value["files"])) return null;
  const files: Record<string, { version: number; sha256: string }> = {};
  for (const [path, known] of Object.entries(value["files"])) {
    if (!isRecord(known) || typeof known["version"] !== "number" || typeof known["sha256"] !== "string") return null;
    Object.defineProperty(files, path, {
      value: { version: known["version"], sha256: known["sha256"] },
      enumerable: true,
    });
  }
  return { path: value["path"], files };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

export async function writeState(folder: string, state: TreeState): Promise<void> {
  await replace(join(folder, stateFile), Buffer.from(`${JSON.stringify(state, null, 1)}\n`), 0o644);
}

/**
 * Every regular file, by path. What git and npm keep is left out.
 * @param left hears of links and special files, which are left out too
 */
export async function readTree(
  folder: string,
  left: (path: string) => void = () => undefined,
): Promise<Map<string, LocalFile>> {
  const found = new Map<string, LocalFile>();
  const open = [folder];
  for (let directory = open.pop(); directory !== undefined; directory = open.pop()) {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const place = join(directory, entry.name);
      if (isKeptApart(entry.name)) continue;
      if (entry.isDirectory()) open.push(place);
      else if (!entry.isFile()) left(relative(folder, place).split(sep).join("/"));
      if (!entry.isFile()) continue;
      if (found.size >= mostFiles)
        throw new CommandError(`${folder} holds more than ${mostFiles} files.`, exitCodes.usage);
      const path = relative(folder, place).split(sep).join("/");
      const [bytes, status] = [await readFile(place), await lstat(place)];
      found.set(path, { path, bytes, sha256: sha256Of(bytes), executable: (status.mode & 0o100) !== 0 });
    }
  }
  return new Map([...found].sort(([left], [right]) => (left < right ? -1 : 1)));
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Whole or not at all. The path came from a server: it is held to the folder, and no link is followed out of it. */
export async function writeLocal(folder: string, path: string, bytes: Uint8Array, executable: boolean): Promise<void> {
  const place = await safePlace(folder, path);
  await mkdir(dirname(place), { recursive: true });
  await replace(place, bytes, executable ? 0o755 : 0o644);
}

export async function removeLocal(folder: string, path: string): Promise<void> {
  await rm(await safePlace(folder, path), { force: true });
}

/** @throws CommandError for a path that would leave the folder */
async function safePlace(folder: string, path: string): Promise<string> {
  const segments = path.split("/");
  if (segments.some((segment) => segment === "" || segment === "." || segment === ".." || /[\0\\]/.test(segment)))
    throw new CommandError(`The server names a file ${JSON.stringify(path)}, which no folder can hold.`);
  if (isKeptApart(path))
    throw new CommandError(`The server names a file ${JSON.stringify(path)}: those of git and npm are kept apart.`);
  let place = folder;
  for (const segment of segments.slice(0, -1)) {
    place = join(place, segment);
    const status = await lstat(place).catch(() => null);
    if (status !== null && !status.isDirectory())
      throw new CommandError(`${place} is no directory: ${path} would leave the folder or replace it.`);
  }
  return join(folder, ...segments);
}

async function replace(place: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = `${place}.exoloop-${process.pid}`;
  await writeFile(temporary, bytes, { mode, flag: "wx" });
  await rename(temporary, place);
}

/**
 * Changes that no single store can make. They are never atomic, and say so: what is written comes before what is
 * deleted, so that a failure in between leaves a file in two places and never in none.
 * @module
 */
import {
  type BatchOperations,
  type DirectoryOperations,
  type FileActor,
  FileError,
  type FileStore,
  type FileTransformation,
} from "../store.ts";
import { sha256Of } from "../text.ts";

type CompleteStore = FileStore & DirectoryOperations & BatchOperations;

export interface MoveReport {
  readonly atomic: boolean;
  /** What the model is told; null where there is nothing to tell. */
  readonly notice: string | null;
}

/** Of one move. */
const mostFiles = 500;
/** Bytes, in memory at once. */
const mostBytes = 32 * 1024 * 1024;

/**
 * Reads, writes there in one change where the store can, then deletes here. Carries over neither the executable bit nor
 * empty directories.
 * @throws FileError Of a failure in between it says what is where.
 */
export async function moveAcross(
  source: { readonly store: CompleteStore; readonly from: string },
  target: { readonly store: CompleteStore; readonly to: string },
  actor: FileActor,
): Promise<MoveReport> {
  const { from } = source;
  const { to } = target;
  const status = await source.store.stat(from);
  if (status === null) throw new FileError("not_found", `${from} does not exist.`);
  if ((await target.store.stat(to)) !== null)
    throw new FileError("path_conflict", `${to} exists already. Nothing was moved.`);
  const files = status.kind === "file" ? [from] : await filesBelow(source.store, from);
  const contents = await readAll(source.store, files);
  const moved = new Map([...contents].map(([path, bytes]) => [`${to}${path.slice(from.length)}`, bytes]));
  await target.store.transform([...moved.keys()], refuseExisting(moved), actor);
  try {
    if (status.kind === "file") await source.store.remove(from, actor);
    else await source.store.removeTree(from, actor);
  } catch (error) {
    throw new FileError(
      "failed",
      `Half done: ${to} is complete, but ${from} could not be deleted (${messageOf(error)}). Both are there now: delete one of them.`,
    );
  }
  return {
    atomic: false,
    notice: `This was not atomic: ${to} was written first, then ${from} was deleted.`,
  };
}

function refuseExisting(moved: ReadonlyMap<string, Uint8Array>): FileTransformation {
  return (before) => {
    const [taken] = before.keys();
    if (taken !== undefined) throw new FileError("path_conflict", `${taken} exists already. Nothing was moved.`);
    return moved;
  };
}

/** Every file, at any depth; a directory that holds anything else cannot be carried over whole. */
async function filesBelow(store: CompleteStore, directory: string): Promise<string[]> {
  const files: string[] = [];
  const waiting = [directory];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of await store.list(next, mostFiles + 1)) {
      if (entry.kind === "other")
        throw new FileError("failed", `${entry.path} is no ordinary file, so ${directory} was not moved: use bash.`);
      if (entry.kind === "directory") waiting.push(entry.path);
      else files.push(entry.path);
    }
    if (files.length + waiting.length > mostFiles)
      throw new FileError(
        "too_large",
        `${directory} holds more than ${mostFiles} files: move parts of it, or use bash.`,
      );
  }
  return files;
}

async function readAll(store: FileStore, paths: readonly string[]): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  let bytes = 0;
  for (const path of paths) {
    const content = await store.read(path);
    bytes += content.bytes.length;
    if (bytes > mostBytes)
      throw new FileError(
        "too_large",
        `More than ${mostBytes / 1024 ** 2} MiB would be moved: move parts, or use bash.`,
      );
    contents.set(path, content.bytes);
  }
  return contents;
}

/** Some of the changed files, with the store that holds them. */
export interface ChangedGroup {
  readonly paths: readonly string[];
  readonly store: CompleteStore;
}

/**
 * One group: the store does it. Several: all is computed first, so that what is wrong anywhere changes nothing; then
 * group after group is changed, the given order. A file that was changed by somebody meanwhile ends it.
 * @throws FileError Of a failure in between it says which files are changed.
 */
export async function transformAcross(
  groups: readonly ChangedGroup[],
  change: FileTransformation,
  actor: FileActor,
  movedFrom: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const [first] = groups;
  if (first === undefined) return;
  if (groups.length === 1) return first.store.transform(first.paths, change, actor, movedFrom);
  const before = new Map<string, Uint8Array>();
  for (const { store, paths } of groups) {
    const look: FileTransformation = (found) => {
      for (const [path, bytes] of found) before.set(path, bytes);
      return new Map();
    };
    await store.transform(paths, look, actor);
  }
  const after = change(before);
  const done: string[] = [];
  for (const { store, paths } of groups) {
    const own = new Map([...after].filter(([path]) => paths.includes(path)));
    try {
      const within = [...movedFrom].filter((ends) => ends.every((path) => paths.includes(path)));
      await store.transform(paths, unchangedSince(before, paths, own), actor, new Map(within));
    } catch (error) {
      if (done.length === 0) throw error;
      throw new FileError(
        "failed",
        `Half done: ${done.join(", ")} changed, but ${[...own.keys()].join(", ")} did not: ${messageOf(error)}`,
      );
    }
    done.push(...own.keys());
  }
}

function unchangedSince(
  before: ReadonlyMap<string, Uint8Array>,
  paths: readonly string[],
  after: ReadonlyMap<string, Uint8Array | null>,
): FileTransformation {
  const hash = (bytes: Uint8Array | undefined) => (bytes === undefined ? null : sha256Of(bytes));
  return (now) => {
    const other = paths.find((path) => hash(now.get(path)) !== hash(before.get(path)));
    if (other !== undefined) throw new FileError("conflict", `${other} was changed by somebody else meanwhile.`);
    return after;
  };
}

function messageOf(error: unknown): string {
  // Of any other error the text is not meant for a model.
  return error instanceof FileError ? error.message : "a fault of the server";
}

/** What `file_commit` refuses, in words. @module */
import { type StoredMount, visiblePath } from "../mounts.ts";
import { FileError, type FileErrorCode } from "../store.ts";

interface Refusal {
  readonly code: string;
  readonly path: string;
  readonly other: string | null;
}

type Sentence = (path: string, other: string, mount: StoredMount) => readonly [FileErrorCode, string];

const sentences: Readonly<Record<string, Sentence>> = {
  not_found: (path) => ["not_found", `${path} does not exist.`],
  is_directory: (path) => ["is_directory", `${path} is a directory.`],
  is_file: (path) => ["path_conflict", `${path} is a file, so no directory can be made there.`],
  not_directory: (path) => ["not_directory", `${path} is a file, not a directory.`],
  file_above: (path) => ["path_conflict", `${path} is a file, so nothing can lie below it.`],
  not_empty: (path) => ["path_conflict", `${path} is not empty, so it was not removed.`],
  exists: (path) => ["path_conflict", `${path} exists already: remove it first, or choose another name.`],
  twin: (path, other) => ["path_conflict", `${path} differs only in case from ${other}, which exists: use that name.`],
  into_itself: (path, other) => ["path_conflict", `${other} cannot be moved to ${path}, which is inside it.`],
  personal: (path) => [
    "no_permission",
    `What would be stored at ${path} is a file of /memory/me, which nobody else sees: use promote_memory, which a person has to approve.`,
  ],
  too_long: (path) => ["invalid_path", `The path ${path} would be too long or too deep.`],
  too_many_files: (_path, _other, mount) => [
    "too_large",
    `${nameOf(mount)} is full: it holds at most ${mount.maximumFiles} files.`,
  ],
  too_many_directories: (_path, _other, mount) => [
    "too_large",
    `${nameOf(mount)} is full: it holds at most ${mount.maximumFiles} directories.`,
  ],
  too_many_bytes: (_path, _other, mount) => [
    "too_large",
    `${nameOf(mount)} is full: it holds at most ${maximumBytes(mount)} bytes.`,
  ],
};

/** All files of a mount together, where the mount itself does not say. */
const usualBytes = 2 * 1024 * 1024 * 1024;

export function maximumBytes(mount: StoredMount): number {
  return mount.maximumBytes ?? usualBytes;
}

function nameOf(mount: StoredMount): string {
  return mount.prefix === "" ? "The store" : mount.prefix;
}

/** The error to throw in place of one that came from Postgres. */
export function explainRefusal(mount: StoredMount, error: unknown): unknown {
  const refusal = refusalOf(error);
  const sentence = refusal === null ? undefined : sentences[refusal.code];
  if (refusal === null || sentence === undefined) return error;
  const other = refusal.other === null ? "" : visiblePath(mount, refusal.other);
  const path = visiblePath(mount, refusal.path);
  return new FileError(...sentence(path, other, mount), path);
}

function refusalOf(error: unknown): Refusal | null {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "EXF01") return null;
  if (!("detail" in error) || typeof error.detail !== "string") return null;
  return JSON.parse(error.detail) as Refusal;
}

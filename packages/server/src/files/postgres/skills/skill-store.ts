/**
 * `/skills` as one session sees it: looked at in the set of its turn, not in the heads of the mount, which may be newer,
 * and hold skills that its agent does not name.
 * @module
 */
import { compileGlob } from "../../glob-pattern.ts";
import { skillsMount } from "../../mounts.ts";
import { isWithin, relativePath, storedPath } from "../../path.ts";
import { startSearch } from "../../search-request.ts";
import type { SessionSkillFile, SkillSet } from "../../session-skills.ts";
import { type DirectoryOperations, FileError, type FileStatus, type FileStore } from "../../store.ts";
import { decodeText } from "../../text.ts";

/** Bytes of contents read at once. */
const batchBytes = 4 * 1024 * 1024;

export interface SkillStoreSource {
  /** The set of the session's turn. */
  set(): Promise<SkillSet>;
  contents(hashes: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>;
}

/** What a look needs; all that would change something is the mount's own store's, and refused before. */
type Looks = Pick<FileStore, "read" | "glob" | "grep"> & Pick<DirectoryOperations, "stat" | "list">;

export function createSkillStore({ set, contents }: SkillStoreSource): Looks {
  return {
    async read(path) {
      const { files } = await set();
      const file = files.get(storedPath(path));
      if (file === undefined) throw missing(files, path);
      const bytes = (await contents([file.sha256])).get(file.sha256);
      if (bytes === undefined) throw new FileError("failed", `The content of ${path} was redacted.`);
      return { bytes, version: null };
    },
    async stat(path) {
      const found = await set();
      const file = found.files.get(storedPath(path));
      if (file !== undefined) return statusOf(found, file);
      return isDirectory(found.files, path) ? directoryAt(path) : null;
    },
    list: async (path, maximum) => listDirectory(await set(), path, maximum),
    async glob(path, pattern, maximum) {
      const found = await set();
      const matches = compileGlob(pattern);
      return [...found.files.values()]
        .filter((file) => isWithin(path, file.path) && matches(relativePath(path, file.path)))
        .map((file) => ({ path: file.path, modifiedAt: changedAt(found, file.path) }))
        .sort((left, right) => right.modifiedAt - left.modifiedAt || (left.path < right.path ? -1 : 1))
        .slice(0, maximum);
    },
    async grep(request) {
      const search = startSearch(request);
      const { files } = await set();
      const searched = [...files.values()].filter(({ path }) => isWithin(request.path, path) && search.wants(path));
      for (const batch of batches(searched)) {
        const found = await contents([...new Set(batch.map(({ sha256 }) => sha256))]);
        for (const { path, sha256 } of batch) {
          const text = decodeText(found.get(sha256) ?? new Uint8Array([0]));
          if (text !== null && !(await search.add(path, text))) return search.result();
        }
      }
      return search.result();
    },
  };
}

function missing(files: SkillSet["files"], path: string): FileError {
  if (isDirectory(files, path)) return new FileError("is_directory", `${path} is a directory.`);
  return new FileError("not_found", `${path} does not exist.`);
}

function isDirectory(files: SkillSet["files"], path: string): boolean {
  if (path === skillsMount.prefix) return true;
  for (const file of files.keys()) if (file.startsWith(`${path}/`)) return true;
  return false;
}

function directoryAt(path: string): FileStatus {
  return { path, kind: "directory", size: 0, executable: false, modifiedAt: 0 };
}

/** When its skill was changed, in milliseconds since the epoch. */
function changedAt({ skills }: SkillSet, path: string): number {
  return skills.find(({ directory }) => isWithin(directory, path))?.changedAt ?? 0;
}

function statusOf(set: SkillSet, { path, size, executable }: SessionSkillFile): FileStatus {
  return { path, kind: "file", size, executable, modifiedAt: changedAt(set, path) };
}

function listDirectory(set: SkillSet, path: string, maximum: number): readonly FileStatus[] {
  if (set.files.has(path)) throw new FileError("not_directory", `${path} is a file.`);
  if (!isDirectory(set.files, path)) throw new FileError("not_found", `${path} does not exist.`);
  const found = new Map<string, FileStatus>();
  for (const file of set.files.values()) {
    if (!file.path.startsWith(`${path}/`)) continue;
    const [name = "", ...below] = relativePath(path, file.path).split("/");
    const entry = `${path}/${name}`;
    if (!found.has(entry)) found.set(entry, below.length === 0 ? statusOf(set, file) : directoryAt(entry));
  }
  return [...found.values()].sort((left, right) => (left.path < right.path ? -1 : 1)).slice(0, maximum);
}

function* batches(files: readonly SessionSkillFile[]): Generator<readonly SessionSkillFile[]> {
  let batch: SessionSkillFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length > 0 && bytes + file.size > batchBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length > 0) yield batch;
}

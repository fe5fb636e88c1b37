/** A store in memory that keeps the contract of all stores, for tests. @module */
import { compileGlob } from "./glob-pattern.ts";
import { isWithin, relativePath } from "./path.ts";
import { startSearch } from "./search-request.ts";
import { type BatchOperations, type DirectoryOperations, FileError, type FileStatus, type FileStore } from "./store.ts";
import { decodeText, encodeText, replaceText } from "./text.ts";

type Contents = Map<string, Uint8Array>;

/**
 * It may hold files under another mount's prefix, as a sandbox does. Files alone make its directories.
 * @example memoryStore({ "/workspace/a.ts": "needle" })
 */
export function memoryStore(
  initial: Readonly<Record<string, string>>,
): FileStore & DirectoryOperations & BatchOperations {
  const contents: Contents = new Map(Object.entries(initial).map(([path, text]) => [path, encodeText(text)]));
  return { ...filesIn(contents), ...directoriesIn(contents), ...batchesIn(contents) };
}

function readIn(contents: Contents, path: string): Uint8Array {
  const bytes = contents.get(path);
  if (bytes === undefined) throw new FileError("not_found", `${path} does not exist.`);
  return bytes;
}

function belowIn(contents: Contents, path: string): string[] {
  return [...contents.keys()].filter((file) => file !== path && isWithin(path, file));
}

function filesIn(contents: Contents): FileStore {
  return {
    read: async (path) => ({ bytes: readIn(contents, path), version: null }),
    write: async (path, bytes, _actor, expectedVersion) => {
      const created = !contents.has(path);
      if (!created && expectedVersion === null) throw new FileError("conflict", `${path} exists already.`);
      contents.set(path, bytes);
      return { created, version: null, bytes: bytes.length };
    },
    edit: async (path, change) => {
      const { bytes, replacements } = replaceText(path, readIn(contents, path), change);
      contents.set(path, bytes);
      return { created: false, version: null, bytes: bytes.length, replacements };
    },
    remove: async (path) => {
      readIn(contents, path);
      contents.delete(path);
    },
    glob: async (path, pattern, maximum) => {
      const matches = compileGlob(pattern);
      const inside = belowIn(contents, path).filter((file) => matches(relativePath(path, file)));
      return inside.slice(0, maximum).map((file) => ({ path: file, modifiedAt: file.length }));
    },
    grep: async (request) => {
      const search = startSearch(request);
      for (const [path, bytes] of contents) {
        if (!isWithin(request.path, path) || !search.wants(path)) continue;
        if (!(await search.add(path, decodeText(bytes) ?? ""))) break;
      }
      return search.result();
    },
  };
}

function directoriesIn(contents: Contents): DirectoryOperations {
  const stat = (path: string): FileStatus | null => {
    const bytes = contents.get(path);
    if (bytes !== undefined) return { path, kind: "file", size: bytes.length, executable: false, modifiedAt: 0 };
    if (belowIn(contents, path).length === 0) return null;
    return { path, kind: "directory", size: 0, executable: false, modifiedAt: 0 };
  };
  return {
    stat: async (path) => stat(path),
    list: async (path, maximum) => {
      if (stat(path) === null) throw new FileError("not_found", `${path} does not exist.`);
      const start = path === "/" ? 1 : path.length + 1;
      const children = belowIn(contents, path).map(
        (file) => `${file.slice(0, start)}${file.slice(start).split("/")[0]}`,
      );
      return [...new Set(children)].flatMap((child) => stat(child) ?? []).slice(0, maximum);
    },
    makeDirectory: async () => undefined,
    rename: async (from, to) => {
      if (stat(from) === null) throw new FileError("not_found", `${from} does not exist.`);
      if (stat(to) !== null) throw new FileError("path_conflict", `${to} exists already.`);
      for (const path of [from, ...belowIn(contents, from)]) {
        const bytes = contents.get(path);
        if (bytes === undefined) continue;
        contents.delete(path);
        contents.set(`${to}${path.slice(from.length)}`, bytes);
      }
    },
    removeTree: async (path) => {
      const files = belowIn(contents, path);
      if (files.length === 0) throw new FileError("not_found", `${path} does not exist.`);
      for (const file of files) contents.delete(file);
      return { files: files.length };
    },
  };
}

function batchesIn(contents: Contents): BatchOperations {
  return {
    transform: async (paths, change) => {
      const after = change(new Map([...contents].filter(([path]) => paths.includes(path))));
      for (const [path, bytes] of after) {
        if (bytes === null) contents.delete(path);
        else contents.set(path, bytes);
      }
    },
  };
}

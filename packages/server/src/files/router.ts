/** One file system out of several stores: the longest prefix that contains a path decides. @module */
import { isWithin } from "./path.ts";
import { FileError, type FileStore, type GrepRequest, type GrepResult, nothingFound } from "./store.ts";

export interface Mount {
  /** Normalised, such as `/memory/org`; `/` takes whatever no other mount does. */
  readonly prefix: string;
  readonly store: FileStore;
  readonly access: "read_write" | "read_only";
}

/**
 * A store over all mounts. Searches below a directory that holds other mounts ask those too; what one store has under
 * another's prefix stays hidden.
 * @example createRouter([{ prefix: "/", store: sandboxFiles, access: "read_write" }, { prefix: "/skills", … }])
 */
export function createRouter(mounts: readonly Mount[]): FileStore {
  const sorted = [...mounts].sort((left, right) => right.prefix.length - left.prefix.length);

  const ownerOf = (path: string): Mount => {
    const owner = sorted.find((mount) => isWithin(mount.prefix, path));
    if (owner === undefined) throw new FileError("not_found", `${path} is in no mounted file system.`);
    return owner;
  };
  const writable = (path: string): FileStore => {
    const owner = ownerOf(path);
    if (owner.access === "read_only")
      throw new FileError("read_only", `${owner.prefix} is read-only, so ${path} was not changed.`);
    return owner.store;
  };
  /** Those that may hold something at or below the directory, the one that holds the directory itself first. */
  const searched = (path: string): readonly Mount[] => {
    const owner = ownerOf(path);
    return [owner, ...sorted.filter((mount) => mount !== owner && isWithin(path, mount.prefix)).reverse()];
  };

  return {
    read: async (path) => ownerOf(path).store.read(path),
    write: async (path, bytes, actor, expectedVersion) => writable(path).write(path, bytes, actor, expectedVersion),
    edit: async (path, change, actor) => writable(path).edit(path, change, actor),
    remove: async (path, actor) => writable(path).remove(path, actor),
    async glob(path, pattern, maximum) {
      const found = [];
      for (const mount of searched(path)) {
        const matches = await mount.store.glob(path, pattern, maximum);
        found.push(...matches.filter((match) => ownerOf(match.path) === mount));
      }
      return found.sort((left, right) => right.modifiedAt - left.modifiedAt).slice(0, maximum);
    },
    grep: (request) => grepMounts(request, searched(request.path), (path, mount) => ownerOf(path) === mount),
  };
}

/** One after the other, until one has more than is wanted. */
async function grepMounts(
  request: GrepRequest,
  mounts: readonly Mount[],
  isOwner: (path: string, mount: Mount) => boolean,
): Promise<GrepResult> {
  const lines = [];
  const files = [];
  let left = request.maximumMatches;
  for (const mount of mounts) {
    const found = await mount.store.grep({ ...request, maximumMatches: left });
    const own = found.lines.filter((line) => isOwner(line.path, mount));
    const ownFiles = found.files.filter((file) => isOwner(file.path, mount));
    lines.push(...own);
    files.push(...ownFiles);
    left -= own.filter((line) => !line.isContext).length + ownFiles.length;
    if (found.stopped !== null) return { lines, files, stopped: found.stopped };
  }
  return { lines, files, stopped: null };
}

/**
 * A place where nothing is and nothing can be put, such as /memory around its mounts: without it a file written there
 * would land in the sandbox and be lost with it.
 * @param remedy One sentence: where to write instead.
 */
export function createReservedStore(remedy: string): FileStore {
  const refuse = (path: string) =>
    Promise.reject(new FileError("read_only", `Nothing can be stored at ${path}. ${remedy}`));
  return {
    read: (path) => Promise.reject(new FileError("not_found", `${path} does not exist. ${remedy}`)),
    write: refuse,
    edit: refuse,
    remove: refuse,
    glob: () => Promise.resolve([]),
    grep: () => Promise.resolve(nothingFound),
  };
}

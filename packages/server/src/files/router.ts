/**
 * One file system out of several stores: the longest prefix that contains a path decides. Aliases are followed first, so
 * that every answer names a file as it is stored. What goes over the edge of a mount is in routing/across.ts.
 * @module
 */
import { isWithin, parentPath, resolvePath } from "./path.ts";
import { type MoveReport, moveAcross, transformAcross } from "./routing/across.ts";
import {
  type BatchOperations,
  type DirectoryOperations,
  FileError,
  type FileStatus,
  type FileStore,
  type GrepRequest,
  type GrepResult,
  nothingFound,
} from "./store.ts";

/** A store may have no directories of its own, or no way to change several files at once. */
export type MountedStore = FileStore & Partial<DirectoryOperations> & Partial<BatchOperations>;

export interface Mount {
  /** Normalised, such as `/memory/org`; `/` takes whatever no other mount does. */
  readonly prefix: string;
  readonly store: MountedStore;
  readonly access: "read_write" | "read_only";
}

/** Everything that a session's paths lead to. */
export interface RoutedFiles extends FileStore, DirectoryOperations, BatchOperations {
  /**
   * The one name of a file: absolute, normal, aliases followed. Every other method takes what this returns.
   * @throws FileError `invalid_path`
   */
  resolve(path: string): string;
  /** Whether the paths lie in several stores, so that no change of all of them is atomic. */
  spansMounts(paths: readonly string[]): boolean;
  /** As {@link DirectoryOperations.rename}, also from one mount to another; the report says what was not atomic then. */
  move(from: string, to: string, actor: Parameters<FileStore["remove"]>[1]): Promise<MoveReport>;
}

/**
 * A store over all mounts. Searches below a directory that holds other mounts ask those too; what one store has under
 * another's prefix stays hidden.
 * @param follow Follows aliases in a normal path.
 * @example createRouter([{ prefix: "/", store: sandboxFiles, access: "read_write" }, { prefix: "/skills", … }])
 */
export function createRouter(mounts: readonly Mount[], follow: (path: string) => string = (path) => path): RoutedFiles {
  const table = createMountTable(mounts);
  const { ownerOf, writable, searched } = table;
  const owns = (path: string, mount: Mount) => ownerOf(path) === mount;
  const transform: BatchOperations["transform"] = (paths, change, actor, movedFrom) => {
    const groups = new Map<Mount, string[]>();
    for (const path of paths) groups.set(writable(path), [...(groups.get(writable(path)) ?? []), path]);
    // The sandbox first: what is stored has the only copy that others see.
    const ordered = [...groups].sort(([left], [right]) => left.prefix.length - right.prefix.length);
    return transformAcross(
      ordered.map(([mount, own]) => ({ paths: own, store: complete(mount) })),
      change,
      actor,
      movedFrom,
    );
  };
  const move: RoutedFiles["move"] = async (from, to, actor) => {
    const [source, target] = [writable(from), writable(to)];
    refuseMountPoints(mounts, from);
    if (source !== target) return moveAcross({ store: complete(source), from }, { store: complete(target), to }, actor);
    await complete(source).rename(from, to, actor);
    return { atomic: true, notice: null };
  };
  return {
    resolve: (path) => follow(resolvePath(path)),
    spansMounts: (paths) => new Set(paths.map(ownerOf)).size > 1,
    read: async (path) => ownerOf(path).store.read(path),
    write: async (path, bytes, actor, version) => writable(path).store.write(path, bytes, actor, version),
    edit: async (path, change, actor) => writable(path).store.edit(path, change, actor),
    remove: async (path, actor) => writable(path).store.remove(path, actor),
    async glob(path, pattern, maximum) {
      const found = [];
      for (const mount of searched(path)) {
        const matches = await mount.store.glob(path, pattern, maximum);
        found.push(...matches.filter((match) => owns(match.path, mount)));
      }
      return found.sort((left, right) => right.modifiedAt - left.modifiedAt).slice(0, maximum);
    },
    grep: (request) => grepMounts(request, searched(request.path), owns),
    async stat(path) {
      if (table.childrenOf(path).length > 0 || table.isMountPoint(path)) return directoryAt(path);
      return complete(ownerOf(path)).stat(path);
    },
    list: (path, maximum) => listMounts(table, path, maximum),
    makeDirectory: async (path, actor) => {
      if (!table.isMountPoint(path)) await complete(writable(path)).makeDirectory(path, actor);
    },
    rename: async (from, to, actor) => void (await move(from, to, actor)),
    move,
    removeTree: async (path, actor) => {
      refuseMountPoints(mounts, path);
      return complete(writable(path)).removeTree(path, actor);
    },
    transform: async (...request) => transform(...request),
  };
}

type MountTable = ReturnType<typeof createMountTable>;

function createMountTable(mounts: readonly Mount[]) {
  const sorted = [...mounts].sort((left, right) => right.prefix.length - left.prefix.length);
  const ownerOf = (path: string): Mount => {
    const owner = sorted.find((mount) => isWithin(mount.prefix, path));
    if (owner === undefined) throw new FileError("not_found", `${path} is in no mounted file system.`);
    return owner;
  };
  return {
    ownerOf,
    writable(path: string): Mount {
      const owner = ownerOf(path);
      if (owner.access === "read_only")
        throw new FileError("read_only", `${owner.prefix} is read-only, so ${path} was not changed.`);
      return owner;
    },
    /** Those that may hold something at or below the directory, the one that holds the directory itself first. */
    searched(path: string): readonly Mount[] {
      const owner = ownerOf(path);
      return [owner, ...sorted.filter((mount) => mount !== owner && isWithin(path, mount.prefix)).reverse()];
    },
    isMountPoint: (path: string) => mounts.some((mount) => mount.prefix === path),
    /** Directories directly in a path that are there because of a mount at or below them. */
    childrenOf(path: string): readonly string[] {
      const below = mounts.filter(({ prefix }) => prefix !== path && isWithin(path, prefix));
      const start = path === "/" ? 1 : path.length + 1;
      return [...new Set(below.map(({ prefix }) => `${prefix.slice(0, start)}${prefix.slice(start).split("/")[0]}`))];
    },
  };
}

function directoryAt(path: string): FileStatus {
  return { path, kind: "directory", size: 0, executable: false, modifiedAt: 0 };
}

/** A mount hides what its directory holds in the store around it. */
async function listMounts(table: MountTable, path: string, maximum: number): Promise<readonly FileStatus[]> {
  const children = table.childrenOf(path);
  const own = await complete(table.ownerOf(path))
    .list(path, maximum)
    .catch((error: unknown) => {
      if (children.length > 0 && error instanceof FileError && error.code === "not_found") return [];
      throw error;
    });
  const shown = [...own.filter((entry) => !children.includes(entry.path)), ...children.map(directoryAt)];
  return shown.sort((left, right) => (left.path < right.path ? -1 : 1)).slice(0, maximum);
}

function refuseMountPoints(mounts: readonly Mount[], path: string): void {
  const held = mounts.find((mount) => isWithin(path, mount.prefix));
  if (held !== undefined)
    throw new FileError("read_only", `${held.prefix} is where files are mounted: it can be neither moved nor deleted.`);
}

/** With a refusal in place of what the store does not have. */
function complete({ prefix, store }: Mount): FileStore & DirectoryOperations & BatchOperations {
  const refuse = () => Promise.reject(new FileError("failed", `${prefix} does not support this.`));
  const missing = { stat: refuse, list: refuse, makeDirectory: refuse, rename: refuse, removeTree: refuse };
  return { ...missing, transform: refuse, ...store };
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
export function createReservedStore(remedy: string): MountedStore {
  const refuse = (path: string) =>
    Promise.reject(new FileError("read_only", `Nothing can be stored at ${path}. ${remedy}`));
  const absent = (path: string) => new FileError("not_found", `${path} does not exist. ${remedy}`);
  return {
    read: (path) => Promise.reject(absent(path)),
    write: refuse,
    edit: refuse,
    remove: refuse,
    glob: () => Promise.resolve([]),
    grep: () => Promise.resolve(nothingFound),
    stat: () => Promise.resolve(null),
    list: (path) => Promise.reject(absent(path)),
    makeDirectory: refuse,
    rename: (_from, to) => refuse(to),
    removeTree: refuse,
    transform: (paths) => refuse(paths[0] ?? parentPath("/memory")),
  };
}

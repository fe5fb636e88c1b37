/** A file tree in memory: paths, links, permissions and the room there is. @module */
import { SandboxFileError } from "../../errors.ts";
import { type DirectoryNode, type FileNode, type TreeNode, allocatedSize } from "./nodes.ts";

/** Where a path leads. `node` is null when nothing is there; `parent` is null when its directory does not exist. */
export interface Place {
  readonly parent: DirectoryNode | null;
  readonly name: string;
  readonly node: TreeNode | null;
}

export interface TreeLimits {
  readonly diskBytes: number;
  readonly files: number;
}

export interface LookupOptions {
  /** Whether a link at the end is followed. Links on the way are, unless `refuseLinks`. */
  readonly follow: boolean;
  readonly refuseLinks?: boolean;
  /** As the supervisor: permission bits do not stop it. */
  readonly privileged?: boolean;
}

export interface FileTree {
  readonly root: DirectoryNode;
  lookup(path: string, options: LookupOptions): Place;
  /** Makes the directories above a path. */
  makeParents(path: string, options: Omit<LookupOptions, "follow">): void;
  newDirectory(mode: number): DirectoryNode;
  newFile(mode: number): FileNode;
  newSpecial(mode: number): TreeNode;
  newLink(target: string): TreeNode;
  /** Puts a node at a place, replacing what is there. @throws SandboxFileError */
  put(path: string, place: Place, node: TreeNode, options?: { readonly privileged?: boolean }): void;
  remove(path: string, place: Place): void;
  /** Bytes are about to be held. @throws SandboxFileError `no_space` */
  reserve(path: string, bytes: number): void;
  touched(node: TreeNode): void;
}

const maximumLinks = 40;
const longestName = 255;
const longestPath = 4095;

/** The parts of an absolute path. @throws SandboxFileError */
export function splitPath(path: string): string[] {
  if (!path.startsWith("/") || path.includes("\0"))
    throw new SandboxFileError("failed", path, "a path inside the sandbox is absolute and without NUL");
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (Buffer.byteLength(path) > longestPath || parts.some((part) => Buffer.byteLength(part) > longestName))
    throw new SandboxFileError("failed", path.slice(0, 80), "the path is too long");
  return parts;
}

function refuse(path: string, code: SandboxFileError["code"], what: string): never {
  throw new SandboxFileError(code, path, `${path}: ${what}`);
}

type Common = Pick<TreeNode, "inode" | "mode" | "modifiedAt" | "version" | "system">;

/** Walks from the root. The stack holds the directories that were entered, so that `..` leads back. */
function walk(root: DirectoryNode, path: string, options: LookupOptions): Place {
  const waiting = splitPath(path);
  let stack: DirectoryNode[] = [root];
  let links = 0;
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const directory = stack.at(-1) ?? root;
    if (name === "..") {
      if (stack.length > 1) stack.pop();
      continue;
    }
    if (options.privileged !== true && (directory.mode & 0o100) === 0) refuse(path, "no_permission", "no permission");
    const node = directory.children.get(name) ?? null;
    const last = waiting.length === 0;
    if (node?.kind === "symlink" && (options.follow || !last)) {
      if (options.refuseLinks === true) refuse(path, "not_directory", "a link is on the way");
      if (++links > maximumLinks) refuse(path, "failed", "too many links");
      if (node.target.startsWith("/")) stack = [root];
      waiting.unshift(...splitPath(`/${node.target}`));
      continue;
    }
    if (last) return { parent: directory, name, node };
    if (node === null) return { parent: null, name: waiting.at(-1) ?? name, node: null };
    if (node.kind !== "directory") refuse(path, "not_directory", "not a directory");
    stack.push(node);
  }
  return { parent: stack.at(-2) ?? null, name: "", node: stack.at(-1) ?? root };
}

function usage(node: TreeNode): { readonly bytes: number; readonly files: number } {
  let bytes = allocatedSize(node);
  let files = 1;
  if (node.kind !== "directory") return { bytes, files };
  for (const child of node.children.values()) {
    const below = usage(child);
    bytes += below.bytes;
    files += below.files;
  }
  return { bytes, files };
}

function checkWritable(path: string, parent: DirectoryNode, privileged: boolean): void {
  if (parent.system || (!privileged && (parent.mode & 0o200) === 0)) refuse(path, "no_permission", "no permission");
}

type NodeMakers = Pick<FileTree, "newFile" | "newSpecial" | "newLink"> & {
  newDirectory(mode: number, system?: boolean): DirectoryNode;
};

function createNodeMakers(now: () => number): NodeMakers {
  let inodes = 0;
  const common = (mode: number, system = false): Common => ({
    inode: ++inodes,
    mode,
    modifiedAt: now(),
    version: 1,
    system,
  });
  return {
    newDirectory: (mode, system) => ({ kind: "directory", children: new Map(), ...common(mode, system) }),
    newFile: (mode) => ({ kind: "file", pieces: [], ...common(mode) }),
    newSpecial: (mode) => ({ kind: "other", ...common(mode) }),
    newLink: (target) => ({ kind: "symlink", target, ...common(0o777) }),
  };
}

function createRoot({ newDirectory, newLink }: NodeMakers): DirectoryNode {
  const root = newDirectory(0o755, true);
  for (const name of ["usr", "etc"]) root.children.set(name, newDirectory(0o755, true));
  for (const name of ["workspace", "tmp", "memory", "skills"]) root.children.set(name, newDirectory(0o755));
  const mounts = newDirectory(0o755, true);
  mounts.children.set("memory", newLink("/memory"));
  root.children.set("mnt", mounts);
  root.children.set("memories", newLink("/memory/.default"));
  return root;
}

export function createFileTree(limits: TreeLimits, now: () => number): FileTree {
  const makers = createNodeMakers(now);
  const root = createRoot(makers);
  let files = 0;
  let bytes = 0;
  const touched = (node: TreeNode): void => {
    node.version++;
    node.modifiedAt = now();
  };
  const release = (node: TreeNode): void => {
    const used = usage(node);
    bytes -= used.bytes;
    files -= used.files;
  };
  const put: FileTree["put"] = (path, { parent, name, node: old }, node, options) => {
    if (parent === null || name === "" || old?.kind === "directory") refuse(path, "is_directory", "is a directory");
    checkWritable(path, parent, options?.privileged === true);
    if (old === null && files >= limits.files) refuse(path, "no_space", "too many files in the sandbox");
    if (old !== null) release(old);
    parent.children.set(name, node);
    files++;
    touched(parent);
  };
  const lookup: FileTree["lookup"] = (path, options) => walk(root, path, options);
  return {
    ...makers,
    root,
    lookup,
    put,
    touched,
    reserve(path, more) {
      if (bytes + more > limits.diskBytes) refuse(path, "no_space", "no space is left in the sandbox");
      bytes += more;
    },
    makeParents(path, options) {
      const parts = splitPath(path);
      for (let length = 1; length < parts.length; length++) {
        const above = `/${parts.slice(0, length).join("/")}`;
        const place = lookup(above, { follow: true, ...options });
        if (place.node === null) put(above, place, makers.newDirectory(0o755), options);
        else if (place.node.kind !== "directory") refuse(path, "not_directory", "not a directory");
      }
    },
    remove(path, { parent, name, node }) {
      if (parent === null || name === "" || node === null) refuse(path, "no_permission", "cannot be removed");
      checkWritable(path, parent, false);
      release(node);
      parent.children.delete(name);
      touched(parent);
    },
  };
}

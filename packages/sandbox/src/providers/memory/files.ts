/** The file verbs of a sandbox in memory. @module */
import { SandboxFileError } from "../../errors.ts";
import type { DirectoryEntry, SandboxSession, TreeEntry } from "../../session.ts";
import { type DirectoryNode, type TreeNode, allocatedSize, contentOf, fingerprintOf, nodeSize } from "./nodes.ts";
import { type FileTree, type Place, splitPath } from "./tree.ts";

type FileVerbs = Pick<
  SandboxSession,
  | "readFile"
  | "readBinaryFile"
  | "writeFile"
  | "writeBinaryFile"
  | "stat"
  | "listDirectory"
  | "listTree"
  | "surveyTree"
  | "inspectEntries"
  | "scanTree"
  | "deleteFile"
>;

const chunkBytes = 64 << 10;
const defaultMaximumBytes = 256 << 20;
const defaultMaximumEntries = 200_000;
const entriesAtATime = 1000;

function refuse(path: string, code: SandboxFileError["code"], what: string): never {
  throw new SandboxFileError(code, path, `${path}: ${what}`);
}

function readable(path: string, node: TreeNode): Uint8Array {
  if (node.kind === "directory") refuse(path, "is_directory", "is a directory");
  if (node.kind !== "file") refuse(path, "not_regular", "not a regular file");
  if ((node.mode & 0o400) === 0) refuse(path, "no_permission", "no permission");
  return contentOf(node);
}

export function entryOf(path: string, node: TreeNode): TreeEntry {
  return {
    path,
    kind: node.kind,
    size: nodeSize(node),
    allocatedBytes: allocatedSize(node),
    mode: node.mode,
    modifiedAt: node.modifiedAt,
    fingerprint: fingerprintOf(node),
    linkTarget: node.kind === "symlink" ? node.target : null,
  };
}

function collectBelow(base: string, directory: DirectoryNode, most: number, entries: TreeEntry[]): void {
  for (const [name, node] of directory.children) {
    const path = `${base}/${name}`;
    if (entries.length >= most) refuse(base === "" ? "/" : base, "too_large", `more than ${most} entries`);
    entries.push(entryOf(path, node));
    if (node.kind === "directory") collectBelow(path, node, most, entries);
  }
}

function collect(tree: FileTree, path: string, most: number): TreeEntry[] {
  const { node } = tree.lookup(path, { follow: true, privileged: true });
  const entries: TreeEntry[] = [];
  if (node === null) return entries;
  if (node.kind !== "directory") refuse(path, "not_directory", "not a directory");
  collectBelow(path.replace(/\/+$/, ""), node, most, entries);
  return entries;
}

function inspect(tree: FileTree, path: string): TreeEntry | null {
  try {
    const { node } = tree.lookup(path, { follow: false, refuseLinks: true, privileged: true });
    return node === null || node.kind === "symlink" ? null : entryOf(path, node);
  } catch (error) {
    if (error instanceof SandboxFileError) return null;
    throw error;
  }
}

export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at + chunkBytes));
        at += chunkBytes;
      },
    },
    { highWaterMark: 0 },
  );
}

/** Puts a whole file at a path: its bytes are there at once or not at all. */
export function replaceFile(tree: FileTree, path: string, content: Uint8Array, mode: number | undefined): void {
  if (splitPath(path).length === 0) refuse(path, "is_directory", "is a directory");
  tree.makeParents(path, {});
  const place = tree.lookup(path, { follow: true });
  if (place.node?.kind === "directory") refuse(path, "is_directory", "is a directory");
  if (place.node !== null && place.node.kind !== "file") refuse(path, "not_regular", "not a regular file");
  tree.reserve(path, content.length);
  const node = tree.newFile(mode ?? place.node?.mode ?? 0o644);
  node.pieces = content.length === 0 ? [] : [new Uint8Array(content)];
  try {
    tree.put(path, place, node);
  } catch (error) {
    tree.reserve(path, -content.length);
    throw error;
  }
}

type Scans = Pick<SandboxSession, "listTree" | "surveyTree" | "inspectEntries" | "scanTree">;

function createScans(tree: FileTree, enter: (verb: string) => Promise<void>): Scans {
  return {
    async listTree({ path, maximumEntries = defaultMaximumEntries }) {
      await enter("listTree");
      return collect(tree, path, maximumEntries);
    },
    async surveyTree({ path, maximumEntries = defaultMaximumEntries }) {
      await enter("surveyTree");
      const entries = collect(tree, path, maximumEntries);
      const fingerprint = JSON.stringify(entries.map((entry) => [entry.path, entry.fingerprint]));
      return { fingerprint, entries: () => entries };
    },
    async inspectEntries({ paths }) {
      await enter("inspectEntries");
      return paths.map((path) => inspect(tree, path));
    },
    async *scanTree({ path }) {
      await enter("scanTree");
      const entries = collect(tree, path, Infinity);
      for (let at = 0; at < entries.length; at += entriesAtATime) yield entries.slice(at, at + entriesAtATime);
    },
  };
}

/** `enter` runs before each verb: it rejects when the sandbox is gone, and takes its time where that is asked for. */
export function createFileVerbs(tree: FileTree, enter: (verb: string) => Promise<void>): FileVerbs {
  const find = async (verb: string, path: string, follow = true): Promise<Place> => {
    await enter(verb);
    return tree.lookup(path, { follow });
  };
  const readBinaryFile: FileVerbs["readBinaryFile"] = async ({ path, maximumBytes = defaultMaximumBytes }) => {
    const { node } = await find("readFile", path);
    if (node === null) return null;
    const bytes = readable(path, node);
    if (bytes.length > maximumBytes) refuse(path, "too_large", `more than ${maximumBytes} bytes`);
    return bytes;
  };
  const writeBinaryFile: FileVerbs["writeBinaryFile"] = async ({ path, content, mode }) => {
    await enter("writeFile");
    replaceFile(tree, path, content, mode);
  };
  return {
    readBinaryFile,
    writeBinaryFile,
    async readFile({ path }) {
      const bytes = await readBinaryFile({ path, maximumBytes: Number.MAX_SAFE_INTEGER });
      return bytes === null ? null : streamOf(bytes);
    },
    async writeFile({ path, content, ...options }) {
      const parts: Uint8Array[] = [];
      for await (const part of content) parts.push(part);
      await writeBinaryFile({ path, content: Buffer.concat(parts), ...options });
    },
    async stat({ path }) {
      const { node } = await find("stat", path);
      if (node === null) return null;
      const kind = node.kind === "file" || node.kind === "directory" ? node.kind : "other";
      return { kind, size: nodeSize(node), mode: node.mode, modifiedAt: new Date(node.modifiedAt) };
    },
    async listDirectory({ path }) {
      const { node } = await find("listDirectory", path);
      if (node === null) return null;
      if (node.kind !== "directory") refuse(path, "not_directory", "not a directory");
      if ((node.mode & 0o400) === 0) refuse(path, "no_permission", "no permission");
      return [...node.children].map(([name, child]): DirectoryEntry => ({ name, kind: child.kind }));
    },
    ...createScans(tree, enter),
    async deleteFile({ path, recursive = false }) {
      const place = await find("deleteFile", path, false);
      if (place.node === null) return false;
      if (place.node.kind === "directory" && !recursive) refuse(path, "is_directory", "is a directory");
      tree.remove(path, place);
      return true;
    },
  };
}

/** Many files at once, to and from a sandbox in memory: what snapshots are made of. @module */
import { SandboxFileError } from "../../errors.ts";
import type { FetchedPart, FilePiece, PlacedEntry, SandboxSession } from "../../session.ts";
import { type FileNode, type TreeNode, nodeSize } from "./nodes.ts";
import { type FileTree, splitPath } from "./tree.ts";

type TransferVerbs = Pick<SandboxSession, "fetchFiles" | "placeEntries">;

const pieceBytes = 1 << 20;
const asSupervisor = { refuseLinks: true, privileged: true } as const;

function* cut(piece: FilePiece): Generator<FilePiece> {
  if (!(piece instanceof Uint8Array)) yield piece;
  else for (let at = 0; at < piece.length; at += pieceBytes) yield piece.slice(at, at + pieceBytes);
}

function findToFetch(tree: FileTree, path: string): FileNode | "absent" | "not_regular" | "failed" {
  try {
    const { node } = tree.lookup(path, { follow: false, ...asSupervisor });
    if (node === null) return "absent";
    return node.kind === "file" ? node : "not_regular";
  } catch (error) {
    if (!(error instanceof SandboxFileError)) throw error;
    return error.code === "not_directory" ? "absent" : "failed";
  }
}

function* fetchOne(tree: FileTree, path: string): Generator<FetchedPart> {
  const found = findToFetch(tree, path);
  if (typeof found === "string") {
    yield { type: "refused", path, reason: found };
    return;
  }
  yield { type: "file", path };
  // Its pieces as they are now: a change makes new ones.
  const pieces = [...found.pieces];
  const size = nodeSize(found);
  for (const piece of pieces) for (const part of cut(piece)) yield { type: "piece", piece: part };
  yield { type: "end", size };
}

async function gather(content: Uint8Array | AsyncIterable<FilePiece>): Promise<FilePiece[]> {
  if (content instanceof Uint8Array) return content.length === 0 ? [] : [new Uint8Array(content)];
  const pieces: FilePiece[] = [];
  for await (const piece of content) pieces.push(piece instanceof Uint8Array ? new Uint8Array(piece) : piece);
  return pieces;
}

async function makeNode(tree: FileTree, entry: PlacedEntry): Promise<TreeNode> {
  if (entry.kind === "symlink") return tree.newLink(entry.target);
  if (entry.kind === "directory") return tree.newDirectory(entry.mode);
  const pieces = await gather(entry.content);
  const node = tree.newFile(entry.mode);
  node.pieces = pieces;
  node.modifiedAt = entry.modifiedAt ?? node.modifiedAt;
  return node;
}

async function placeOne(tree: FileTree, entry: PlacedEntry): Promise<void> {
  const { path } = entry;
  if (splitPath(path).includes("..")) throw new SandboxFileError("failed", path, `${path}: .. is not taken`);
  const node = await makeNode(tree, entry);
  tree.makeParents(path, asSupervisor);
  const place = tree.lookup(path, { follow: false, ...asSupervisor });
  if (entry.kind === "directory" && place.node?.kind === "directory") {
    place.node.mode = entry.mode;
    place.node.version++;
    return;
  }
  const bytes = node.kind === "file" ? node.pieces : [];
  const size = bytes.reduce((sum, piece) => sum + (piece instanceof Uint8Array ? piece.length : 0), 0);
  tree.reserve(path, size);
  try {
    tree.put(path, place, node, asSupervisor);
  } catch (error) {
    tree.reserve(path, -size);
    throw error;
  }
}

export function createTransferVerbs(tree: FileTree, enter: (verb: string) => Promise<void>): TransferVerbs {
  return {
    async *fetchFiles({ paths }) {
      await enter("fetchFiles");
      for (const path of paths) yield* fetchOne(tree, path);
    },
    async placeEntries({ entries }) {
      await enter("placeEntries");
      for await (const entry of entries) await placeOne(tree, entry);
    },
  };
}

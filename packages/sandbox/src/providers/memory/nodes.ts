/** What a tree in memory is made of: files (with holes), directories, links and special files. @module */
import type { FilePiece } from "../../session.ts";

interface NodeCommon {
  readonly inode: number;
  mode: number;
  /** Milliseconds since the epoch. */
  modifiedAt: number;
  /** Rises with every change: what a fingerprint is made of. */
  version: number;
  /** Belongs to the system: the workload reads it and does not change it. */
  readonly system: boolean;
}

export interface FileNode extends NodeCommon {
  readonly kind: "file";
  pieces: FilePiece[];
}

export interface DirectoryNode extends NodeCommon {
  readonly kind: "directory";
  readonly children: Map<string, TreeNode>;
}

export interface LinkNode extends NodeCommon {
  readonly kind: "symlink";
  readonly target: string;
}

export interface SpecialNode extends NodeCommon {
  readonly kind: "other";
}

export type TreeNode = FileNode | DirectoryNode | LinkNode | SpecialNode;

export function pieceSize(piece: FilePiece): number {
  return piece instanceof Uint8Array ? piece.length : piece.holeBytes;
}

export function nodeSize(node: TreeNode): number {
  if (node.kind === "symlink") return Buffer.byteLength(node.target);
  if (node.kind !== "file") return 0;
  return node.pieces.reduce((sum, piece) => sum + pieceSize(piece), 0);
}

export function allocatedSize(node: TreeNode): number {
  if (node.kind !== "file") return 0;
  return node.pieces.reduce((sum, piece) => sum + (piece instanceof Uint8Array ? piece.length : 0), 0);
}

/** The file's bytes in one array, holes as zeros. */
export function contentOf(node: FileNode): Uint8Array {
  const bytes = new Uint8Array(nodeSize(node));
  let at = 0;
  for (const piece of node.pieces) {
    if (piece instanceof Uint8Array) bytes.set(piece, at);
    at += pieceSize(piece);
  }
  return bytes;
}

export function fingerprintOf(node: TreeNode): string {
  return `${node.inode}:${node.version}:${nodeSize(node)}:${node.mode}`;
}

/** What a push or a pull has to do: two trees and what they last had in common, compared. Pure. @module */
import type { FileChange } from "@exoloop/protocol/filesystem";
import type { LocalFile, TreeState } from "./local-tree.ts";

/** A stored file, by its path below the directory. */
export interface StoredHead {
  readonly path: string;
  readonly version: number;
  readonly sha256: string;
  readonly executable: boolean;
  readonly size: number;
}

export interface PushPlan {
  readonly puts: readonly { readonly file: LocalFile; readonly expected: number | null }[];
  readonly deletes: readonly { readonly path: string; readonly expected: number }[];
  /** Changed on both sides since they were last equal. */
  readonly conflicts: readonly string[];
}

type Base = TreeState["files"];

/**
 * @param remove Whether files that were deleted in the folder are deleted in the store.
 * @example planPush(local, stored, {}, false).puts.length
 */
export function planPush(
  local: ReadonlyMap<string, LocalFile>,
  stored: ReadonlyMap<string, StoredHead>,
  base: Base,
  remove: boolean,
): PushPlan {
  const puts: { readonly file: LocalFile; readonly expected: number | null }[] = [];
  const deletes: { readonly path: string; readonly expected: number }[] = [];
  const conflicts: string[] = [];
  for (const file of local.values()) {
    const head = stored.get(file.path);
    if (head !== undefined && head.sha256 === file.sha256 && head.executable === file.executable) continue;
    const known = base[file.path];
    if (known !== undefined && known.sha256 === file.sha256 && head?.version !== known.version) {
      // Only the store has changed: a pull brings that.
      continue;
    }
    if ((head?.version ?? null) !== (known?.version ?? null)) conflicts.push(file.path);
    else puts.push({ file, expected: head?.version ?? null });
  }
  if (remove) {
    for (const [path, known] of Object.entries(base)) {
      const head = stored.get(path);
      if (local.has(path) || head === undefined) continue;
      if (head.version === known.version) deletes.push({ path, expected: head.version });
      else conflicts.push(path);
    }
  }
  return { puts, deletes, conflicts };
}

export interface PullPlan {
  readonly writes: readonly StoredHead[];
  readonly removes: readonly string[];
  readonly conflicts: readonly string[];
}

/** @param force Whether local changes are overwritten. */
export function planPull(
  local: ReadonlyMap<string, LocalFile>,
  stored: ReadonlyMap<string, StoredHead>,
  base: Base,
  force: boolean,
): PullPlan {
  const writes: StoredHead[] = [];
  const removes: string[] = [];
  const conflicts: string[] = [];
  for (const head of stored.values()) {
    const file = local.get(head.path);
    if (file?.sha256 === head.sha256 && file.executable === head.executable) continue;
    const known = base[head.path];
    const touched = file === undefined ? known !== undefined : file.sha256 !== known?.sha256;
    if (touched && !force) {
      // Only the folder has changed: a push brings that.
      if (known?.version !== head.version) conflicts.push(head.path);
    } else writes.push(head);
  }
  for (const [path, known] of Object.entries(base)) {
    const file = local.get(path);
    if (stored.has(path) || file === undefined) continue;
    if (file.sha256 === known.sha256 || force) removes.push(path);
    else conflicts.push(path);
  }
  return { writes, removes, conflicts };
}

/** A commit's largest size; base64 takes a third more. */
const portionBytes = 16 * 1024 * 1024;
const portionFiles = 2_000;

/** Commits that each fit into one request. One of them is all or nothing; several are not. */
export function portionsOf<Change extends FileChange>(changes: readonly Change[]): Change[][] {
  const portions: Change[][] = [];
  let bytes = Infinity;
  for (const change of changes) {
    const size = change.type === "put" ? change.content.length : 0;
    const last = portions.at(-1);
    if (last === undefined || bytes + size > portionBytes || last.length >= portionFiles) {
      portions.push([change]);
      bytes = size;
    } else {
      last.push(change);
      bytes += size;
    }
  }
  return portions;
}

/** Reading what a command left: which copies changed, and which of them cannot be stored. @module */
import { storedPath } from "../path.ts";
import type { StoredMount } from "../mounts.ts";
import { FileError } from "../store.ts";
import { decodeText, sha256Of } from "../text.ts";
import type { Baseline, MountCopies } from "./baseline.ts";
import { compareTree } from "./compare.ts";
import { isExecutable, type LaidFile } from "./laid-file.ts";
import type { Laying } from "./laying.ts";
import { explain } from "./report.ts";
import type { ChangedCopy } from "./settle.ts";
import { type CopyEntry, inParts, type ProjectionTarget } from "./target.ts";

export interface Inspection {
  readonly changed: readonly ChangedCopy[];
  readonly gone: readonly string[];
  readonly newDirectories: readonly string[];
  readonly goneDirectories: readonly string[];
  /** Something is left that is to be looked at again, although nothing changes. */
  readonly unsettled: boolean;
}

/** Of changed copies that are held in memory at once. */
const mostBytes = 64 * 1024 * 1024;

export interface Inspecting {
  readonly target: ProjectionTarget;
  readonly baseline: Baseline;
  readonly copies: MountCopies;
  readonly laying: Laying;
  readonly lines: string[];
}

/** A mount that commands may change. Links that hide a stored file are removed; what cannot be stored is told once. */
export async function inspectWritable(inspecting: Inspecting, entries: readonly CopyEntry[]): Promise<Inspection> {
  const { copies, laying, lines } = inspecting;
  const { touched, hiding, odd, ...rest } = compareTree(copies, entries);
  for (const { entry, hidden } of hiding) {
    laying.removals.add(entry.path);
    for (const path of hidden) layAgain(laying, copies, path);
    lines.push(explain.refused(entry.path, `${nameOf(entry)}; what was stored there is back`));
  }
  for (const entry of odd) {
    laying.left.add(entry.path);
    tellOnce(inspecting, entry, nameOf(entry));
  }
  const changed: ChangedCopy[] = [];
  const wanted = touched.filter((entry) => {
    const why = whyNot(copies.mount, entry);
    if (why === null) return true;
    laying.left.add(entry.path);
    tellOnce(inspecting, entry, why);
    return false;
  });
  let [bytes, postponed, moved] = [0, 0, false];
  for (const part of inParts(wanted, ({ size }) => size)) {
    if (bytes > mostBytes) {
      postponed += part.length;
      for (const { path } of part) laying.left.add(path);
      continue;
    }
    const read = await readCopies(inspecting, part);
    moved ||= read.moved;
    changed.push(...read.changed);
    bytes += part.reduce((sum, { size }) => sum + size, 0);
  }
  if (postponed > 0) lines.push(explain.postponed(postponed));
  return {
    ...rest,
    newDirectories: namedWell(inspecting, rest.newDirectories),
    changed,
    unsettled: moved || postponed > 0,
  };
}

function nameOf({ kind }: CopyEntry): string {
  return kind === "symlink" ? "symbolic link" : "special file";
}

function whyNot(mount: StoredMount, entry: CopyEntry): string | null {
  const wrong = wrongName(mount, entry.path);
  if (wrong !== null) return wrong;
  const most = Math.max(mount.maximumTextBytes, mount.maximumBinaryBytes);
  return entry.size > most ? `larger than ${most} bytes` : null;
}

async function readCopies(
  inspecting: Inspecting,
  entries: readonly CopyEntry[],
): Promise<{ readonly changed: readonly ChangedCopy[]; readonly moved: boolean }> {
  const { target, copies, laying } = inspecting;
  const { mount } = copies;
  const most = Math.max(mount.maximumTextBytes, mount.maximumBinaryBytes);
  const fetched = await target.fetch(
    entries.map(({ path }) => path),
    most,
  );
  const changed: ChangedCopy[] = [];
  let moved = false;
  for (const [index, { path, bytes, fingerprint }] of fetched.entries()) {
    const entry = entries[index];
    if (entry === undefined) continue;
    if (bytes === null || fingerprint !== entry.fingerprint) {
      // Only a process in the background can do that; the next look sees what became of it.
      laying.left.add(path);
      moved = true;
      continue;
    }
    const copy = compareCopy(copies, entry, bytes);
    if (copy === null) continue;
    if (decodeText(bytes) === null && mount.maximumBinaryBytes === 0) {
      laying.left.add(path);
      tellOnce(inspecting, { path, fingerprint: copy.sha256 }, "binary");
    } else changed.push(copy);
  }
  return { changed, moved };
}

/** Null: it is what was laid, touched. */
export function compareCopy(copies: MountCopies, entry: CopyEntry, bytes: Uint8Array): ChangedCopy | null {
  const { path, fingerprint } = entry;
  const base: LaidFile | null = copies.files.get(path) ?? null;
  const [sha256, executable] = [sha256Of(bytes), isExecutable(entry)];
  if (base !== null && base.sha256 === sha256 && base.executable === executable) {
    copies.files.set(path, { ...base, fingerprint });
    return null;
  }
  return { path, bytes, sha256, executable, fingerprint, base };
}

function wrongName(mount: StoredMount, path: string): string | null {
  try {
    return storedPath(path, mount.prefix) === path ? null : "its name is not in Unicode's composed form";
  } catch (error) {
    if (error instanceof FileError) return "its name cannot be stored";
    throw error;
  }
}

function namedWell(inspecting: Inspecting, directories: readonly string[]): readonly string[] {
  return directories.filter((path) => {
    const wrong = wrongName(inspecting.copies.mount, path);
    if (wrong !== null) tellOnce(inspecting, { path, fingerprint: "" }, wrong);
    return wrong === null;
  });
}

/** The version that was laid before; what is newer comes when the mount is pulled. */
export function layAgain(laying: Laying, copies: MountCopies, path: string): void {
  const laid = copies.files.get(path);
  if (laid === undefined) return;
  const { fingerprint: _fingerprint, ...version } = laid;
  laying.files.set(path, { copies, file: { path, ...version } });
}

/** Not again until the copy changes. */
export function tellOnce(
  { baseline, lines }: Pick<Inspecting, "baseline" | "lines">,
  entry: Pick<CopyEntry, "path" | "fingerprint">,
  why: string,
): void {
  const key = `${entry.path}\0${entry.fingerprint}`;
  if (baseline.told.has(key)) return;
  baseline.told.add(key);
  lines.push(explain.refused(entry.path, why));
}

/** Reading what a command left: which copies changed, and which of them cannot be stored. @module */
import type { TreeEntry } from "@exoloop/sandbox/session";
import type { Workspace } from "../../sandboxes/workspace.ts";
import { isWithin, storedPath } from "../path.ts";
import { mountOf, type StoredMount } from "../mounts.ts";
import { FileError } from "../store.ts";
import { decodeText, sha256Of } from "../text.ts";
import type { Baseline } from "./baseline.ts";
import { compareTree } from "./compare.ts";
import { isExecutable, type LaidFile } from "./laid-file.ts";
import { explain } from "./report.ts";
import type { ChangedCopy } from "./settle.ts";

export interface Inspection {
  readonly changed: readonly ChangedCopy[];
  readonly gone: readonly string[];
  /** Paths that are to be laid again. */
  readonly relay: readonly string[];
  /** Paths that stay as the command left them, although they cannot be stored. */
  readonly left: ReadonlySet<string>;
}

type Session = Workspace["session"];

/** Of changed copies that are held in memory at once. */
const mostBytes = 64 * 1024 * 1024;

interface Inspecting {
  readonly session: Session;
  readonly baseline: Baseline;
  readonly mount: StoredMount;
  readonly lines: string[];
}

export function filesBelow(baseline: Baseline, mount: StoredMount): Map<string, LaidFile> {
  return new Map([...baseline.files].filter(([path]) => isWithin(mount.prefix, path)));
}

/** A mount that commands may change. Links that hide a stored file are removed; what cannot be stored is told once. */
export async function inspectWritable(inspecting: Inspecting, entries: readonly TreeEntry[]): Promise<Inspection> {
  const { session, baseline, mount, lines } = inspecting;
  const { touched, gone, hiding, odd } = compareTree(filesBelow(baseline, mount), entries);
  const relay: string[] = [];
  for (const { entry, hidden } of hiding) {
    await session.deleteFile({ path: entry.path });
    relay.push(...hidden);
    lines.push(
      explain.refused(
        entry.path,
        `${entry.kind === "symlink" ? "symbolic link" : "special file"}; what was stored there is back`,
      ),
    );
  }
  for (const entry of odd) tellOnce(inspecting, entry, entry.kind === "symlink" ? "symbolic link" : "special file");
  const changed: ChangedCopy[] = [];
  const left = new Set<string>();
  let bytes = 0;
  let postponed = 0;
  for (const entry of touched) {
    const copy = bytes > mostBytes ? "postponed" : await inspectCopy(inspecting, entry);
    if (copy === "same") continue;
    if (copy === "postponed") postponed += 1;
    if (typeof copy === "string") left.add(entry.path);
    else changed.push(copy);
    bytes += typeof copy === "string" ? 0 : copy.bytes.length;
  }
  if (postponed > 0) lines.push(explain.postponed(postponed));
  return { changed, gone, relay, left };
}

async function inspectCopy(inspecting: Inspecting, entry: TreeEntry): Promise<ChangedCopy | "same" | "refused"> {
  const { session, baseline, mount } = inspecting;
  const refuse = (why: string) => {
    tellOnce(inspecting, entry, why);
    return "refused" as const;
  };
  const wrong = wrongName(entry.path);
  if (wrong !== null) return refuse(wrong);
  if (entry.size > Math.max(mount.maximumTextBytes, mount.maximumBinaryBytes))
    return refuse(`larger than ${mount.maximumTextBytes} bytes`);
  const bytes = await session.readBinaryFile({ path: entry.path });
  // Vanished between the scan and now: only a background process can do that, and the next scan sees it.
  if (bytes === null) return "same";
  const sha256 = sha256Of(bytes);
  const executable = isExecutable(entry);
  const base = baseline.files.get(entry.path) ?? null;
  if (base !== null && base.sha256 === sha256 && base.executable === executable) {
    baseline.files.set(entry.path, { ...base, fingerprint: entry.fingerprint });
    return "same";
  }
  if (decodeText(bytes) === null && mount.maximumBinaryBytes === 0) return refuse("binary");
  return { path: entry.path, bytes, sha256, executable, fingerprint: entry.fingerprint, base };
}

function wrongName(path: string): string | null {
  try {
    return storedPath(path) === path ? null : "its name is not in Unicode's composed form";
  } catch (error) {
    if (error instanceof FileError) return "its name cannot be stored";
    throw error;
  }
}

/** A mount that commands may not change: everything is put back. */
export async function inspectReadOnly(inspecting: Inspecting, entries: readonly TreeEntry[]): Promise<Inspection> {
  const { session, baseline, mount, lines } = inspecting;
  const laid = filesBelow(baseline, mount);
  const { touched, gone, hiding, odd } = compareTree(laid, entries);
  const relay = [...gone];
  for (const path of gone) lines.push(explain.refused(path, "read-only; it is back"));
  for (const { hidden } of hiding) relay.push(...hidden);
  for (const entry of [...hiding.map((hide) => hide.entry), ...odd]) {
    await session.deleteFile({ path: entry.path });
    lines.push(explain.refused(entry.path, "read-only"));
  }
  for (const entry of touched) {
    if (laid.has(entry.path)) {
      const bytes = await session
        .readBinaryFile({ path: entry.path, maximumBytes: mount.maximumBinaryBytes })
        .catch(() => null);
      const base = laid.get(entry.path);
      if (bytes !== null && base !== undefined && sha256Of(bytes) === base.sha256) {
        baseline.files.set(entry.path, { ...base, fingerprint: entry.fingerprint });
        continue;
      }
      relay.push(entry.path);
      lines.push(explain.refused(entry.path, "read-only; it is as before again"));
    } else {
      await session.deleteFile({ path: entry.path });
      lines.push(explain.refused(entry.path, "read-only; use /workspace"));
    }
  }
  return { changed: [], gone: [], relay, left: new Set() };
}

/** Files below a stored root that belong to no mount. */
export function tellStrays(
  inspecting: Omit<Inspecting, "mount">,
  mounts: readonly StoredMount[],
  entries: readonly TreeEntry[],
): void {
  const kept = mounts.filter((mount) => mount.access === "read_write").map((mount) => mount.prefix);
  for (const entry of entries) {
    if (entry.kind === "directory" || mountOf(mounts, entry.path) !== undefined) continue;
    tellOnce(inspecting, entry, `only ${kept.join(", ")} is kept`);
  }
}

/** Not again until the copy changes. */
export function tellOnce(
  { baseline, lines }: Pick<Inspecting, "baseline" | "lines">,
  entry: Pick<TreeEntry, "path" | "fingerprint">,
  why: string,
): void {
  const key = `${entry.path}\0${entry.fingerprint}`;
  if (baseline.told.has(key)) return;
  baseline.told.add(key);
  lines.push(explain.refused(entry.path, why));
}

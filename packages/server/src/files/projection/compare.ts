/** What a command did to the copies, seen by their fingerprints alone. Pure. @module */
import type { TreeEntry } from "@exoloop/sandbox/session";
import { isWithin } from "../path.ts";
import type { LaidFile } from "./laid-file.ts";

export interface TreeChanges {
  /** Regular files that are new, or whose fingerprint is another. Their content may still be the same. */
  readonly touched: readonly TreeEntry[];
  /** Laid files that are no longer there. */
  readonly gone: readonly string[];
  /** Links, sockets, devices that hide a laid file: in its place, or in the place of a directory above it. */
  readonly hiding: readonly { readonly entry: TreeEntry; readonly hidden: readonly string[] }[];
  /** Other links, sockets and devices. */
  readonly odd: readonly TreeEntry[];
}

/** @param laid Those below the same directory as the entries. */
export function compareTree(laid: ReadonlyMap<string, LaidFile>, entries: readonly TreeEntry[]): TreeChanges {
  const present = new Set<string>();
  const touched: TreeEntry[] = [];
  const special: TreeEntry[] = [];
  for (const entry of entries) {
    if (entry.kind === "file") {
      present.add(entry.path);
      if (laid.get(entry.path)?.fingerprint !== entry.fingerprint) touched.push(entry);
    } else if (entry.kind !== "directory") special.push(entry);
  }
  const missing = [...laid.keys()].filter((path) => !present.has(path));
  const hiding: { entry: TreeEntry; hidden: string[] }[] = [];
  const odd: TreeEntry[] = [];
  const hiddenPaths = new Set<string>();
  for (const entry of special) {
    const hidden = missing.filter((path) => isWithin(entry.path, path));
    for (const path of hidden) hiddenPaths.add(path);
    if (hidden.length > 0) hiding.push({ entry, hidden });
    else odd.push(entry);
  }
  return { touched, gone: missing.filter((path) => !hiddenPaths.has(path)), hiding, odd };
}

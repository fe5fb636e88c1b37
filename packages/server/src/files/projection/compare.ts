/** What a command did to the copies of one mount, seen by their fingerprints alone. Pure. @module */
import { isWithin } from "../path.ts";
import type { MountCopies } from "./baseline.ts";
import type { CopyEntry } from "./target.ts";

export interface TreeChanges {
  /** Regular files that are new, or whose fingerprint is another. Their content may still be the same. */
  readonly touched: readonly CopyEntry[];
  /** Laid files that are no longer there. */
  readonly gone: readonly string[];
  readonly newDirectories: readonly string[];
  readonly goneDirectories: readonly string[];
  /** Links, sockets, devices that hide a laid file: in its place, or in the place of a directory above it. */
  readonly hiding: readonly { readonly entry: CopyEntry; readonly hidden: readonly string[] }[];
  /** Other links, sockets and devices. */
  readonly odd: readonly CopyEntry[];
}

/** @param entries Those below the mount. */
export function compareTree({ files, directories }: MountCopies, entries: readonly CopyEntry[]): TreeChanges {
  const [touched, special]: [CopyEntry[], CopyEntry[]] = [[], []];
  const newDirectories: string[] = [];
  let [knownFiles, knownDirectories] = [0, 0];
  for (const entry of entries) {
    if (entry.kind === "file") {
      const laid = files.get(entry.path);
      if (laid !== undefined) knownFiles += 1;
      if (laid?.fingerprint !== entry.fingerprint) touched.push(entry);
    } else if (entry.kind === "directory") {
      if (directories.has(entry.path)) knownDirectories += 1;
      else newDirectories.push(entry.path);
    } else special.push(entry);
  }
  // Only where something is missing it is looked for.
  const missing = knownFiles === files.size ? [] : absent(files.keys(), entries, "file");
  const goneDirectories =
    knownDirectories === directories.size ? [] : absent(directories.values(), entries, "directory");
  const hiding: { entry: CopyEntry; hidden: string[] }[] = [];
  const odd: CopyEntry[] = [];
  const hiddenPaths = new Set<string>();
  for (const entry of special) {
    const hidden = missing.filter((path) => isWithin(entry.path, path));
    for (const path of hidden) hiddenPaths.add(path);
    if (hidden.length > 0) hiding.push({ entry, hidden });
    else odd.push(entry);
  }
  return {
    touched,
    gone: missing.filter((path) => !hiddenPaths.has(path)),
    newDirectories,
    goneDirectories: goneDirectories.filter((path) => !hiding.some(({ entry }) => isWithin(entry.path, path))),
    hiding,
    odd,
  };
}

function absent(known: Iterable<string>, entries: readonly CopyEntry[], kind: CopyEntry["kind"]): string[] {
  const present = new Set(entries.flatMap((entry) => (entry.kind === kind ? [entry.path] : [])));
  return [...known].filter((path) => !present.has(path));
}

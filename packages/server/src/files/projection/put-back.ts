/** Mounts that commands may not change, and files that belong to none: whatever a command did there is undone, or told. @module */
import { isWithin } from "../path.ts";
import { mountOf, type StoredMount, storedRoots } from "../mounts.ts";
import type { MountCopies } from "./baseline.ts";
import { compareTree } from "./compare.ts";
import { compareCopy, type Inspecting, layAgain, tellOnce } from "./inspect.ts";
import { explain } from "./report.ts";
import { type CopyEntry, inParts } from "./target.ts";

/** Everything is put back, and each thing that a command did is told. */
export async function putBack(inspecting: Inspecting, entries: readonly CopyEntry[]): Promise<void> {
  const { copies, laying, lines } = inspecting;
  const { touched, gone, hiding, odd, newDirectories, goneDirectories } = compareTree(copies, entries);
  for (const path of gone) {
    layAgain(laying, copies, path);
    lines.push(explain.refused(path, "read-only; it is back"));
  }
  for (const path of goneDirectories) laying.directories.add(path);
  for (const { entry, hidden } of hiding) {
    laying.removals.add(entry.path);
    for (const path of hidden) layAgain(laying, copies, path);
    lines.push(explain.refused(entry.path, "read-only; what was there is back"));
  }
  const added = [...odd.map(({ path }) => path), ...newDirectories];
  const changed: CopyEntry[] = [];
  for (const entry of touched) {
    if (copies.files.has(entry.path)) changed.push(entry);
    else added.push(entry.path);
  }
  await putContentBack(inspecting, changed);
  for (const path of added) {
    laying.removals.add(path);
    // What lies below a new directory goes with it.
    if (!newDirectories.some((directory) => path !== directory && isWithin(directory, path)))
      lines.push(explain.refused(path, "read-only; use /workspace"));
  }
}

async function putContentBack({ target, copies, laying, lines }: Inspecting, changed: readonly CopyEntry[]) {
  const most = Math.max(copies.mount.maximumTextBytes, copies.mount.maximumBinaryBytes);
  const larger = changed.filter((entry) => entry.size > most);
  const again = (path: string) => {
    layAgain(laying, copies, path);
    lines.push(explain.refused(path, "read-only; it is as before again"));
  };
  for (const { path } of larger) again(path);
  const rest = changed.filter((entry) => entry.size <= most);
  for (const part of inParts(rest, ({ size }) => size)) {
    const fetched = await target.fetch(
      part.map(({ path }) => path),
      most,
    );
    for (const [index, { path, bytes }] of fetched.entries()) {
      const entry = part[index];
      if (entry !== undefined && bytes !== null && compareCopy(copies, entry, bytes) === null) continue;
      again(path);
    }
  }
}

/** Files below a stored root that belong to no mount. They stay, and are told once. */
export function tellStrays(
  inspecting: Pick<Inspecting, "baseline" | "lines">,
  mounts: readonly StoredMount[],
  entries: readonly CopyEntry[],
): void {
  const kept = [...new Set(mounts.flatMap(({ access, prefix }) => (access === "read_write" ? [prefix] : [])))];
  for (const entry of entries) {
    if (entry.kind === "directory" || entry.path === defaultMemoryLink) continue;
    if (mountOf(mounts, entry.path) !== undefined) continue;
    tellOnce(inspecting, entry, kept.length === 0 ? "nothing here is kept" : `only ${kept.join(", ")} is kept`);
  }
}

/** Where `/memories` leads in a sandbox, which knows nothing of sessions: from here a link goes on to the default memory. */
export const defaultMemoryLink = `${storedRoots[1]}/.default`;

/** Each mount's entries, in one pass over all of them. */
export function byMount(
  copies: Iterable<MountCopies>,
  entries: readonly CopyEntry[],
): ReadonlyMap<MountCopies, readonly CopyEntry[]> {
  const groups = [...copies].map((one) => ({ one, begin: `${one.mount.prefix}/`, inside: [] as CopyEntry[] }));
  for (const entry of entries) groups.find(({ begin }) => entry.path.startsWith(begin))?.inside.push(entry);
  return new Map(groups.map(({ one, inside }) => [one, inside]));
}

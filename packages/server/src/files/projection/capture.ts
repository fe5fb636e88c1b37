/** Taking over what a command changed in one mount: all of it in one commit, but for what cannot be stored. @module */
import { holdsDeletions, mostDeletions } from "../merge.ts";
import { isWithin } from "../path.ts";
import { type FileActor, FileError } from "../store.ts";
import type { Capture } from "./capturing.ts";
import type { Inspection } from "./inspect.ts";
import { inspectWritable, layAgain, tellOnce } from "./inspect.ts";
import { carryOut } from "./outcome.ts";
import { putBack } from "./put-back.ts";
import { explain } from "./report.ts";
import { type MountChanges, settleChanges } from "./settle.ts";
import type { CopyEntry } from "./target.ts";

/** Changes of one commit: more than these are one command's in name only, such as an archive unpacked. */
const mostChanges = 2_000;
/** Changes that are left out one by one, each for its reason, before the rest is halved to find them. */
const mostLeftOut = 16;

export interface Captured {
  /** Of the mount after the commit; null when nothing was committed. */
  readonly revision: number | null;
  readonly unsettled: boolean;
}

/** Commits what a command changed in one mount, and puts back what it may not change. */
export async function capture(capturing: Capture, entries: readonly CopyEntry[]): Promise<Captured> {
  const { copies, lines, laying } = capturing;
  if (copies.mount.access === "read_only") {
    await putBack(capturing, entries);
    return { revision: null, unsettled: false };
  }
  const inspection = await inspectWritable(capturing, entries);
  const known = copies.files.size;
  const held = holdsDeletions(inspection.gone.length, known);
  if (held) {
    const many = inspection.gone.length > mostDeletions(known);
    lines.push(explain.held(inspection.gone.length, copies.mount.prefix, many ? mostDeletions(known) : null));
    for (const path of inspection.gone) layAgain(laying, copies, path);
    for (const path of inspection.goneDirectories) laying.directories.add(path);
  }
  const revision = await commitAll(capturing, held ? { ...inspection, gone: [], goneDirectories: [] } : inspection);
  return { revision, unsettled: inspection.unsettled };
}

type Changes = Omit<MountChanges, "mount" | "actor">;

function changesOf({ copies }: Capture, inspection: Inspection): Changes {
  const { changed, gone, newDirectories, goneDirectories } = inspection;
  const deleted = gone.flatMap((path) => {
    const base = copies.files.get(path);
    return base === undefined ? [] : [{ path, base }];
  });
  return { changed, deleted, newDirectories, goneDirectories };
}

function pathsOf({ changed, deleted, newDirectories, goneDirectories }: Changes): string[] {
  return [...[...changed, ...deleted].map(({ path }) => path), ...newDirectories, ...goneDirectories];
}

/** Deletions come first: what takes their place may need it. */
async function commitAll(capturing: Capture, inspection: Inspection): Promise<number | null> {
  const all = changesOf(capturing, inspection);
  if (pathsOf(all).length <= mostChanges) return commitPart(capturing, all);
  const { changed, deleted, newDirectories, goneDirectories } = all;
  const none: Changes = { changed: [], deleted: [], newDirectories: [], goneDirectories: [] };
  let revision: number | null = null;
  const parts: Changes[] = [
    ...portions(deleted).map((portion) => ({ ...none, deleted: portion })),
    ...portions([...goneDirectories].sort().reverse()).map((portion) => ({ ...none, goneDirectories: portion })),
    ...portions([...newDirectories].sort()).map((portion) => ({ ...none, newDirectories: portion })),
    ...portions(changed).map((portion) => ({ ...none, changed: portion })),
  ];
  for (const part of parts) revision = (await commitPart(capturing, part)) ?? revision;
  return revision;
}

function portions<Item>(items: readonly Item[]): Item[][] {
  const count = Math.ceil(items.length / mostChanges);
  return Array.from({ length: count }, (_, index) => items.slice(index * mostChanges, (index + 1) * mostChanges));
}

/** What Postgres refuses is left out, and the rest tried again: what is stored in the end is one commit. */
async function commitPart(capturing: Capture, part: Changes): Promise<number | null> {
  let changes = part;
  for (let leftOut = 0; ; leftOut += 1) {
    const paths = pathsOf(changes);
    if (paths.length === 0) return null;
    try {
      return await commit(capturing, changes);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      const refused = error.path === undefined ? [] : paths.filter((path) => isWithin(error.path ?? "", path));
      const [only] = paths;
      const out = refused.length > 0 ? refused : paths.length === 1 && only !== undefined ? [only] : null;
      if (out === null || leftOut >= mostLeftOut) return commitHalves(capturing, changes);
      for (const path of out) leaveOut(capturing, changes, path, error.message);
      changes = without(changes, new Set(out));
    }
  }
}

function leaveOut({ laying, ...capturing }: Capture, { changed }: Changes, path: string, why: string): void {
  laying.left.add(path);
  const fingerprint = changed.find((copy) => copy.path === path)?.fingerprint ?? "";
  tellOnce(capturing, { path, fingerprint }, why);
}

function without({ changed, deleted, newDirectories, goneDirectories }: Changes, out: ReadonlySet<string>): Changes {
  return {
    changed: changed.filter(({ path }) => !out.has(path)),
    deleted: deleted.filter(({ path }) => !out.has(path)),
    newDirectories: newDirectories.filter((path) => !out.has(path)),
    goneDirectories: goneDirectories.filter((path) => !out.has(path)),
  };
}

/** First what is deleted; then halves, and halves of those, until what cannot be stored is alone. */
async function commitHalves(capturing: Capture, changes: Changes): Promise<number | null> {
  const { changed, deleted, newDirectories, goneDirectories } = changes;
  const none: Changes = { changed: [], deleted: [], newDirectories: [], goneDirectories: [] };
  const ending = deleted.length + goneDirectories.length > 0;
  const beginning = changed.length + newDirectories.length > 0;
  const halves = <Item>(items: readonly Item[], length: number): [readonly Item[], readonly Item[]] => [
    items.slice(0, length),
    items.slice(length),
  ];
  let parts: readonly Changes[];
  if (ending && beginning) {
    parts = [
      { ...none, deleted, goneDirectories },
      { ...none, changed, newDirectories },
    ];
  } else {
    const [firstChanged, lastChanged] = halves(changed, Math.ceil(changed.length / 2));
    const [firstMade, lastMade] = halves(newDirectories, Math.ceil(newDirectories.length / 2));
    const [firstDeleted, lastDeleted] = halves(deleted, Math.ceil(deleted.length / 2));
    const [firstGone, lastGone] = halves(goneDirectories, Math.floor(goneDirectories.length / 2));
    parts = [
      { changed: firstChanged, newDirectories: firstMade, deleted: firstDeleted, goneDirectories: firstGone },
      { changed: lastChanged, newDirectories: lastMade, deleted: lastDeleted, goneDirectories: lastGone },
    ];
  }
  let revision: number | null = null;
  for (const part of parts) revision = (await commitPart(capturing, part)) ?? revision;
  return revision;
}

async function commit(capturing: Capture, changes: Changes): Promise<number> {
  const { dependencies, copies, toolUseId } = capturing;
  const { organizationId, sessionId, userId = null, untrusted = false, files } = dependencies;
  const { mount } = copies;
  const actor: FileActor = { organizationId, sessionId, toolUseId, via: "bash", userId, untrusted };
  const { result, versions, revision } = await files.commit({ mount, actor, paths: pathsOf(changes) }, (view) =>
    settleChanges(view, { mount, actor, ...changes }),
  );
  // Whoever deleted it: the copy is gone, and a later version is laid again.
  for (const { path } of changes.deleted) copies.files.delete(path);
  for (const path of changes.goneDirectories) copies.directories.delete(path);
  for (const path of changes.newDirectories) copies.directories.add(path);
  await carryOut(capturing, result, { changed: changes.changed, versions });
  return revision;
}

/** One whole pass: the target is looked at, what changed there is taken over, and what changed in Postgres is laid. @module */
import { defaultMemoryOf, isShared, skillsMount, type StoredMount, storedRoots } from "../mounts.ts";
import { isWithin } from "../path.ts";
import type { ProjectionRecord, SandboxKey } from "../postgres/projection-records.ts";
import type { Footing, ProjectionDependencies } from "./pass.ts";
import { type Baseline, emptyBaseline, emptyCopies, isSamePlace, type MountCopies } from "./baseline.ts";
import { capture, type Captured } from "./capture.ts";
import { emptyLaying, findObstacles, isEmpty, type Laying, layAll } from "./laying.ts";
import { keepCopy } from "./outcome.ts";
import { collectChanges, findChanges } from "./pull.ts";
import { byMount, defaultMemoryLink, tellStrays } from "./put-back.ts";
import { rebuildBaseline } from "./rebuild.ts";
import { explain } from "./report.ts";
import type { CopyEntry, ProjectionTarget } from "./target.ts";

export interface Pass {
  readonly key: SandboxKey;
  readonly target: ProjectionTarget;
  readonly footing: Footing;
  /** Null: no command has run, and nobody can be told. */
  readonly toolUseId: string | null;
  /** Of the target, when it was just asked for. */
  readonly fingerprint?: string;
}

/** A pass while it is made. */
interface Work extends Pass {
  readonly dependencies: ProjectionDependencies;
  readonly baseline: Baseline;
  readonly entries: readonly CopyEntry[];
  readonly laying: Laying;
  readonly lines: string[];
  readonly mentioned: Set<string>;
}

/**
 * The lines tell what was done to what a command changed; without a command they wait for the next report.
 * @throws SandboxFileError when the target cannot be looked at, or does not take what is to be laid
 */
export async function synchronise(dependencies: ProjectionDependencies, pass: Pass): Promise<readonly string[]> {
  const { key, target, footing, toolUseId } = pass;
  const { baselines, files } = dependencies;
  const entries = await target.list();
  const baseline = footing.baseline ?? (await deriveBaseline(dependencies, pass, entries));
  // Until all is done the copies match no baseline: a failure in between makes the next use derive it again.
  baselines.delete(key);
  const before = recordOf(baseline);
  const lines = baseline.pending.splice(0);
  const work = { ...pass, dependencies, baseline, entries, laying: emptyLaying(), lines, mentioned: new Set<string>() };
  if (footing.record === null) clear(work);
  const captured = footing.record === null ? noCapture : await captureAll(work);
  await tellDone(work);
  removeDetached(work);
  for (const mount of dependencies.mounts) await pullMount(work, mount, captured.revisions.get(mount.key));
  layDefaultMemory(work);
  await clearTheWay(work);
  const settled = isEmpty(work.laying) && !captured.unsettled;
  await layAll(dependencies, target, baseline, work.laying);
  const record = recordOf(baseline);
  if (footing.record === null || !isSameRecord(before, record)) await files.projections.save(key, record);
  baseline.fingerprint = settled ? (pass.fingerprint ?? null) : null;
  baselines.set(key, baseline);
  if (toolUseId !== null) return lines;
  baseline.pending.push(...lines);
  return [];
}

export function recordOf({ copies }: Baseline): ProjectionRecord {
  const laid = [...copies.values()].flatMap(({ mount, revision }) => (revision === null ? [] : [{ mount, revision }]));
  return {
    revisions: new Map(laid.map(({ mount, revision }) => [mount.key, revision])),
    prefixes: new Map(laid.map(({ mount }) => [mount.key, mount.prefix])),
  };
}

function isSameRecord(left: ProjectionRecord, right: ProjectionRecord): boolean {
  if (left.revisions.size !== right.revisions.size) return false;
  for (const [key, revision] of left.revisions)
    if (right.revisions.get(key) !== revision || right.prefixes.get(key) !== left.prefixes.get(key)) return false;
  return true;
}

/** Where no command has run, whatever lies there is an unfinished projection: it is removed. */
async function deriveBaseline(
  { files, organizationId, sessionId, mounts }: ProjectionDependencies,
  { footing: { record }, target }: Pass,
  entries: readonly CopyEntry[],
): Promise<Baseline> {
  if (record === null) return emptyBaseline();
  return rebuildBaseline({ files, organizationId, sessionId, mounts, record, target, entries });
}

function clear({ entries, laying }: Work): void {
  const roots: readonly string[] = storedRoots;
  for (const { path } of entries) if (roots.includes(path.slice(0, path.lastIndexOf("/")))) laying.removals.add(path);
}

const noCapture = { unsettled: false, revisions: new Map<string, number>() };

async function captureAll(work: Work): Promise<typeof noCapture> {
  const { dependencies, baseline, entries, toolUseId } = work;
  const { mounts } = dependencies;
  // A person's own first: what a command writes there and into shared memory alike is known as theirs by then.
  const copies = [...baseline.copies.values()].sort(
    (left, right) => Number(isShared(left.mount)) - Number(isShared(right.mount)),
  );
  tellStrays(work, [...mounts, ...copies.map(({ mount }) => mount)], entries);
  const revisions = new Map<string, number>();
  let unsettled = false;
  for (const [one, inside] of byMount(copies, entries)) {
    // What a command could still change is saved; whoever writes on afterwards has nothing to write to.
    if (toolUseId === null && !mounts.some(({ key }) => key === one.mount.key)) continue;
    const captured: Captured = await capture({ ...work, copies: one }, inside);
    unsettled ||= captured.unsettled;
    if (captured.revision !== null) revisions.set(one.mount.key, captured.revision);
  }
  return { unsettled, revisions };
}

/** Another worker may have committed what this command changed, and died before it could tell. */
async function tellDone({ dependencies, footing, toolUseId, lines, mentioned }: Work): Promise<void> {
  if (footing.baseline !== null || footing.record === null || toolUseId === null) return;
  const { files, organizationId, sessionId, mounts } = dependencies;
  for (const done of await files.projections.doneBy({ organizationId, sessionId }, mounts, toolUseId)) {
    const line = explain.done(done);
    if (line === null || mentioned.has(done.path)) continue;
    mentioned.add(done.path);
    lines.push(line);
  }
}

/** Mounts that the session does not see any more, or sees elsewhere. */
function removeDetached({ dependencies: { mounts }, baseline, footing, laying, lines }: Work): void {
  const gone = new Map(footing.record?.prefixes ?? []);
  for (const [key, { mount }] of baseline.copies) gone.set(key, mount.prefix);
  for (const [key, prefix] of gone) {
    if (mounts.some((mount) => mount.key === key && mount.prefix === prefix)) continue;
    baseline.copies.delete(key);
    for (const path of laying.files.keys()) if (isWithin(prefix, path)) laying.files.delete(path);
    for (const path of laying.directories) if (isWithin(prefix, path)) laying.directories.delete(path);
    laying.removals.add(prefix);
    if (!mounts.some((mount) => mount.prefix === prefix)) lines.push(explain.detached(prefix));
  }
}

async function pullMount(work: Work, mount: StoredMount, committed: number | undefined): Promise<void> {
  const { dependencies, baseline, footing, laying, lines, mentioned } = work;
  const copies = copiesFor(work, mount);
  const revision = Math.max(committed ?? 0, footing.revisions.get(mount.key) ?? 0);
  baseline.copies.set(mount.key, { ...copies, mount, revision });
  if (copies.revision === revision) return;
  const found = await findChanges(dependencies, copies, revision);
  collectChanges(baseline.copies.get(mount.key) ?? copies, found, laying);
  for (const { path, line } of found.stale) if (!mentioned.has(path)) lines.push(line);
}

/** A mount that holds no file is there all the same: the model is told of it, and writes into it. */
function copiesFor({ baseline, entries, laying, footing }: Work, mount: StoredMount): MountCopies {
  const found = baseline.copies.get(mount.key);
  const copies = found === undefined ? emptyCopies(mount) : found;
  const present =
    footing.record !== null && entries.some(({ path, kind }) => path === mount.prefix && kind === "directory");
  if (!present && mount.key !== skillsMount.key) laying.directories.add(mount.prefix);
  if (found === undefined || isSamePlace(found.mount, mount)) return copies;
  // Its permissions are others: everything is laid again.
  for (const [path, laid] of copies.files) copies.files.set(path, { ...laid, fingerprint: "" });
  return { ...copies, revision: null };
}

function layDefaultMemory({ dependencies: { mounts }, baseline, entries, laying, footing }: Work): void {
  const memory = defaultMemoryOf(mounts)?.prefix ?? null;
  const link = footing.record === null ? undefined : entries.find(({ path }) => path === defaultMemoryLink);
  const leads = memory === null ? null : memory.slice(memory.lastIndexOf("/") + 1);
  baseline.defaultMemory = memory;
  if (leads === null) {
    if (link !== undefined) laying.removals.add(defaultMemoryLink);
  } else if (link?.kind !== "symlink" || link.linkTarget !== leads) {
    if (link?.kind === "directory") laying.removals.add(defaultMemoryLink);
    laying.links.set(defaultMemoryLink, leads);
  }
}

/** What stands where something is to be laid is removed; what in it could not be stored is kept beside the work. */
async function clearTheWay({ target, laying, entries, lines, toolUseId, baseline }: Work): Promise<void> {
  const roots = [...baseline.copies.values()].map(({ mount }) => mount.prefix);
  for (const obstacle of findObstacles(laying, roots, entries)) {
    if ([...laying.removals].some((path) => isWithin(path, obstacle.path))) continue;
    const inside = entries.filter(({ path, kind }) => kind === "file" && isWithin(obstacle.path, path));
    for (const { path, size } of inside.filter(({ path }) => laying.left.has(path))) {
      const [fetched] = await target.fetch([path], size);
      const copy = fetched?.bytes == null ? null : await keepCopy({ target, toolUseId }, path, fetched.bytes);
      lines.push(explain.inTheWay(path, copy));
    }
    laying.removals.add(obstacle.path);
  }
}

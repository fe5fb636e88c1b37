/** What changed in Postgres since a revision, by anybody, and what follows for the copies. @module */
import { ancestorsBelow, isWithin } from "../path.ts";
import { skillsMount, type StoredMount } from "../mounts.ts";
import type { ProjectedChange } from "../postgres/projection-records.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";
import type { StoredFile } from "../postgres/rows.ts";
import type { MountCopies } from "./baseline.ts";
import type { FileToLay, Laying } from "./laying.ts";
import { explain } from "./report.ts";

export interface PullDependencies {
  readonly files: StoredFiles;
  readonly organizationId: string;
  readonly sessionId: string;
}

/** One path as it is to be on the target. */
type PathChange =
  | { readonly kind: "file"; readonly path: string; readonly file: FileToLay }
  | { readonly kind: "directory" | "absent"; readonly path: string };

export interface MountChange {
  readonly changes: readonly PathChange[];
  /** Lines about what the session has read and others have changed since. */
  readonly stale: readonly { readonly path: string; readonly line: string }[];
  /** Of some of the files, by their hashes. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

/** @param revision At least so new; what is committed meanwhile may be in it, and comes again next time. */
export async function findChanges(
  dependencies: PullDependencies,
  copies: MountCopies,
  revision: number,
): Promise<MountChange> {
  const { files, organizationId, sessionId } = dependencies;
  const { mount, revision: held } = copies;
  const contents = new Map<string, Uint8Array>();
  if (mount.key === skillsMount.key)
    return { changes: await findSkills(dependencies, copies, revision), stale: [], contents };
  if (held === null) {
    const [heads, directories, known] = await Promise.all([
      files.manifest(organizationId, mount),
      files.directories(organizationId, mount),
      files.projections.known(sessionId, mount),
    ]);
    const read = heads.flatMap((head): ProjectedChange[] => {
      const { path } = head;
      return known.has(path) ? [{ path, kind: "file", head, bytes: null, known: known.get(path) ?? null }] : [];
    });
    const changes = [
      ...directories.map(({ path }) => ({ kind: "directory" as const, path })),
      ...heads.map(fileChange),
    ];
    return { changes, stale: await findStale(dependencies, mount, read), contents };
  }
  const since = await files.projections.changes({ organizationId, sessionId }, mount, held);
  for (const { head, bytes } of since) if (head !== null && bytes !== null) contents.set(head.sha256, bytes);
  return { changes: since.map(pathChange), stale: await findStale(dependencies, mount, since), contents };
}

function fileChange(head: StoredFile): PathChange {
  return { kind: "file", path: head.path, file: head };
}

function pathChange({ path, kind, head }: Pick<ProjectedChange, "path" | "kind" | "head">): PathChange {
  return head === null ? { kind: kind === "directory" ? "directory" : "absent", path } : fileChange(head);
}

/** The skills that the session sees, whole: they change seldom, and with what its agent may use. */
async function findSkills(
  { files, organizationId, sessionId }: PullDependencies,
  copies: MountCopies,
  revision: number,
): Promise<PathChange[]> {
  const set = await files.sessionSkills.at({ organizationId, sessionId }, revision);
  const changes: PathChange[] = [];
  const directories = new Set<string>();
  for (const { path, sha256, size, executable } of set.files.values()) {
    changes.push({ kind: "file", path, file: { path, version: revision, sha256, size, executable } });
    for (const directory of ancestorsBelow(copies.mount.prefix, path)) directories.add(directory);
  }
  for (const path of copies.files.keys()) if (!set.files.has(path)) changes.push({ kind: "absent", path });
  for (const path of copies.directories) if (!directories.has(path)) changes.push({ kind: "absent", path });
  return changes;
}

/** What the session has read, and somebody else has changed or ended since. */
async function findStale(
  { files: { projections }, organizationId, sessionId }: PullDependencies,
  mount: StoredMount,
  changes: readonly ProjectedChange[],
): Promise<MountChange["stale"]> {
  const read = changes.flatMap((change) => (change.known === null ? [] : [{ ...change, known: change.known }]));
  const changed = read.flatMap(({ head, known }) =>
    head !== null && head.sessionId !== sessionId && head.version > known ? [{ head, known }] : [],
  );
  const ended = read.filter(({ kind }) => kind === "absent");
  if (changed.length + ended.length === 0) return [];
  const names = await projections.namesOf(
    organizationId,
    changed.map(({ head }) => head.userId),
  );
  const own = await projections.endedBy(
    { organizationId, sessionId },
    mount,
    ended.map(({ path }) => path),
  );
  return [
    ...changed.map(({ head, known }) => ({
      path: head.path,
      line: explain.stale(head.path, known, head, explain.who(head, names)),
    })),
    ...ended
      .filter(({ path }) => !own.has(path))
      .map(({ path, known }) => ({ path, line: explain.stale(path, known, null, "") })),
  ];
}

/** Collects what is to be laid and removed; what is on the disk already only gets its new version. */
export function collectChanges(copies: MountCopies, { changes, contents }: MountChange, laying: Laying): void {
  for (const [sha256, bytes] of contents) laying.contents.set(sha256, bytes);
  for (const change of changes) {
    const { path } = change;
    if (laying.left.has(path)) continue;
    const laid = copies.files.get(path);
    if (change.kind !== "file") {
      if (laid !== undefined) laying.removals.add(path);
      copies.files.delete(path);
      laying.files.delete(path);
    } else if (isLaid(laid, change.file)) copies.files.set(path, { ...laid, version: change.file.version });
    else laying.files.set(path, { copies, file: change.file });
    if (change.kind === "directory") {
      if (!copies.directories.has(path)) laying.directories.add(path);
      copies.directories.add(path);
    } else if (![...laying.left].some((left) => isWithin(path, left)) && copies.directories.delete(path)) {
      laying.removals.add(path);
    }
  }
}

function isLaid(
  laid: ReturnType<MountCopies["files"]["get"]>,
  file: FileToLay,
): laid is NonNullable<ReturnType<MountCopies["files"]["get"]>> {
  return laid?.sha256 === file.sha256 && laid.executable === file.executable && laid.fingerprint !== "";
}

/** What changed in Postgres since a revision, by anybody, and what follows for the copies. @module */
import { ancestorsBelow, isWithin } from "../path.ts";
import { skillsMount, type StoredMount } from "../mounts.ts";
import type { StoredChange, StoredFiles } from "../postgres/stored-files.ts";
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
}

/** @param revision At least so new; what is committed meanwhile may be in it, and comes again next time. */
export async function findChanges(
  dependencies: PullDependencies,
  copies: MountCopies,
  revision: number,
): Promise<MountChange> {
  const { files, organizationId } = dependencies;
  const { mount, revision: held } = copies;
  if (mount.key === skillsMount.key) return { changes: await findSkills(dependencies, copies, revision), stale: [] };
  if (held === null) {
    const [heads, directories] = await Promise.all([
      files.manifest(organizationId, mount),
      files.directories(organizationId, mount),
    ]);
    const changes = [
      ...directories.map(({ path }) => ({ kind: "directory" as const, path })),
      ...heads.map(fileChange),
    ];
    return { changes, stale: await findStale(dependencies, mount, heads, [], null) };
  }
  const since = await files.changesSince(organizationId, mount, held);
  const heads = since.flatMap(({ head }) => (head === null ? [] : [head]));
  const ended = since.filter(({ kind }) => kind === "absent").map(({ path }) => path);
  const stale = await findStale(dependencies, mount, heads, ended, [...heads.map(({ path }) => path), ...ended]);
  return { changes: since.map(pathChange), stale };
}

function fileChange(head: StoredFile): PathChange {
  return { kind: "file", path: head.path, file: head };
}

function pathChange({ path, kind, head }: StoredChange): PathChange {
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

async function findStale(
  { files, organizationId, sessionId }: PullDependencies,
  mount: StoredMount,
  heads: readonly StoredFile[],
  ended: readonly string[],
  paths: readonly string[] | null,
): Promise<MountChange["stale"]> {
  const others = heads.filter((head) => head.sessionId !== sessionId);
  if (others.length + ended.length === 0) return [];
  const known = await files.projections.known(sessionId, mount, paths);
  if (known.size === 0) return [];
  const changed = others.filter(({ path, version }) => version > (known.get(path) ?? version));
  const names = await files.projections.namesOf(
    organizationId,
    changed.map(({ userId }) => userId),
  );
  const lines = changed.map((head) => {
    const line = explain.stale(head.path, known.get(head.path) ?? 0, head, explain.who(head, names));
    return { path: head.path, line };
  });
  return [...lines, ...(await endedByOthers(files, { organizationId, sessionId }, mount, ended, known))];
}

async function endedByOthers(
  { projections }: StoredFiles,
  owner: { readonly organizationId: string; readonly sessionId: string },
  mount: StoredMount,
  ended: readonly string[],
  known: ReadonlyMap<string, number>,
): Promise<MountChange["stale"]> {
  const read = ended.filter((path) => known.has(path));
  const own = await projections.endedBy(owner, mount, read);
  return read
    .filter((path) => !own.has(path))
    .map((path) => ({ path, line: explain.stale(path, known.get(path) ?? 0, null, "") }));
}

/** Collects what is to be laid and removed; what is on the disk already only gets its new version. */
export function collectChanges(copies: MountCopies, changes: readonly PathChange[], laying: Laying): void {
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

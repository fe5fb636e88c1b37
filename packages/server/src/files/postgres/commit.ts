/**
 * The one way to change stored files: a transaction that takes the mount's row lock first, looks at the heads, decides,
 * and writes heads, search text, content and history together. Because every change of a mount waits for that lock,
 * what the decision saw is still true when it is written, and the mount's revisions have no gaps.
 *
 * The heads are read after the lock is held, in a statement of its own: a statement that locks and joins sees rows that
 * changed while it waited with the snapshot from before.
 * @module
 */
import type { Kysely, Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import { decodeText, sha256Of } from "../text.ts";
import { type FileActor, FileError } from "../store.ts";
import type { Commit, FileChange, PreparedPut, PutChange } from "./change.ts";
import { ensureDirectories, pruneDirectories } from "./directories.ts";
import { writeHeads, writeHistory } from "./heads.ts";
import { findHeads, readContents, type StoredFile } from "./rows.ts";

/** What one call did to one path, when it was carried out before. */
export interface RecordedChange {
  readonly version: number;
  readonly operation: Tables["file_versions"]["operation"];
  readonly sha256: string | null;
  readonly size: number;
  readonly replacements: number;
}

/** Text that lost a race: kept so that it can be recovered. */
export interface LostText {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly baseVersion: number | null;
  readonly headVersion: number | null;
}

/** What a decision may look at, while the mount is locked. */
export interface CommitView {
  readonly heads: ReadonlyMap<string, StoredFile>;
  /** Changes of these paths that the same call made earlier. */
  readonly recorded: ReadonlyMap<string, RecordedChange>;
  readonly transaction: Transaction<Tables>;
  contents(hashes: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>;
}

export interface CommitDecision<Result> {
  readonly changes: readonly FileChange[];
  readonly lost?: readonly LostText[];
  readonly result: Result;
}

export interface CommitRequest {
  readonly mount: StoredMount;
  readonly actor: FileActor;
  /** Stored paths below the mount; those that a change may name. */
  readonly paths: readonly string[];
}

export interface Committed<Result> {
  /** Of the mount, after the commit; the same as before when nothing changed. */
  readonly revision: number;
  /** New version of each path that was put, also where its content was there already. */
  readonly versions: ReadonlyMap<string, number>;
  readonly result: Result;
}

const mostChanges = 2_000;

/**
 * All changes or none. A decision that throws rolls everything back.
 * @throws FileError `too_large`, `binary`, `path_conflict`, `is_directory`
 */
export async function commitFiles<Result>(
  database: Kysely<Tables>,
  request: CommitRequest,
  decide: (view: CommitView) => Promise<CommitDecision<Result>> | CommitDecision<Result>,
): Promise<Committed<Result>> {
  const { mount, actor, paths } = request;
  if (paths.length > mostChanges)
    throw new FileError("too_large", `More than ${mostChanges} files would change at once.`);
  return database.transaction().execute(async (transaction) => {
    const { revision, files } = await lockMount(transaction, actor.organizationId, mount.key);
    const heads = await findHeads(transaction, actor.organizationId, mount, paths);
    const recorded = await findRecorded(transaction, mount, actor, paths);
    const contents = (hashes: readonly string[]) => readContents(transaction, actor.organizationId, hashes);
    const decision = await decide({ heads, recorded, transaction, contents });
    await keepLost(transaction, mount, actor, decision.lost ?? []);
    const versions = new Map<string, number>();
    const effective = decision.changes.filter((change) => changesHead(change, heads, versions));
    if (effective.length === 0) return { revision, versions, result: decision.result };
    const next = { mount, actor, heads, revision: revision + 1 };
    for (const [path, version] of await applyChanges(transaction, next, effective)) versions.set(path, version);
    const added = effective.reduce((sum, change) => sum + countDelta(change, heads), 0);
    if (added > 0 && files + added > mount.maximumFiles) {
      throw new FileError("too_large", `${mount.prefix} is full: it holds at most ${mount.maximumFiles} files.`);
    }
    await transaction
      .updateTable("file_mounts")
      .set({ revision: revision + 1, files: files + added })
      .where("organization_id", "=", actor.organizationId)
      .where("mount", "=", mount.key)
      .execute();
    return { revision: revision + 1, versions, result: decision.result };
  });
}

function countDelta(change: FileChange, heads: CommitView["heads"]): number {
  if (change.type === "delete") return -1;
  return heads.has(change.path) ? 0 : 1;
}

/** Whether there is anything to do; the version of what is there already goes into `versions`. */
function changesHead(change: FileChange, heads: CommitView["heads"], versions: Map<string, number>): boolean {
  const head = heads.get(change.path);
  if (change.type === "delete") return head !== undefined;
  if (head === undefined || head.executable !== change.executable || head.sha256 !== sha256Of(change.bytes))
    return true;
  versions.set(change.path, head.version);
  return false;
}

async function lockMount(transaction: Transaction<Tables>, organizationId: string, mount: string) {
  const lock = () =>
    transaction
      .selectFrom("file_mounts")
      .select(["revision", "files"])
      .where("organization_id", "=", organizationId)
      .where("mount", "=", mount)
      .forUpdate()
      .executeTakeFirst();
  const found = await lock();
  if (found !== undefined) return found;
  await transaction
    .insertInto("file_mounts")
    .values({ organization_id: organizationId, mount })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await lock()) ?? { revision: 0, files: 0 };
}

async function findRecorded(
  transaction: Transaction<Tables>,
  mount: StoredMount,
  actor: FileActor,
  paths: readonly string[],
) {
  if (actor.toolUseId === null || paths.length === 0) return new Map<string, RecordedChange>();
  const rows = await transaction
    .selectFrom("file_versions")
    .select(["path", "version", "operation", "sha256", "size_bytes", "replacements"])
    .where("organization_id", "=", actor.organizationId)
    .where("tool_use_id", "=", actor.toolUseId)
    .where("mount", "=", mount.key)
    .where("path", "in", storedPaths(mount, paths))
    .orderBy("version")
    .execute();
  return new Map(rows.map(({ path, size_bytes, ...row }) => [visiblePath(mount, path), { ...row, size: size_bytes }]));
}

function storedPaths(mount: StoredMount, paths: readonly string[]): string[] {
  return paths.map((path) => pathInMount(mount, path));
}

/** Deletions first: a directory may take the place of a file in one commit. */
async function applyChanges(transaction: Transaction<Tables>, commit: Commit, changes: readonly FileChange[]) {
  const { organizationId } = commit.actor;
  const deleted = changes.filter((change) => change.type === "delete").map((change) => change.path);
  const puts = changes.filter((change) => change.type === "put").map((change) => prepare(change, commit.mount));
  if (deleted.length > 0) {
    await transaction
      .deleteFrom("file_entries")
      .where("organization_id", "=", organizationId)
      .where("mount", "=", commit.mount.key)
      .where("path", "in", storedPaths(commit.mount, deleted))
      .where("kind", "=", "file")
      .execute();
    await pruneDirectories(transaction, organizationId, commit.mount, deleted);
  }
  const location = { organizationId, mount: commit.mount, revision: commit.revision };
  await ensureDirectories(
    transaction,
    location,
    puts.map((put) => put.change.path),
  );
  const last = await lastVersions(
    transaction,
    organizationId,
    commit.mount,
    changes.map((change) => change.path),
  );
  const versions = new Map(changes.map((change) => [change.path, (last.get(change.path) ?? 0) + 1]));
  await insertBlobs(
    transaction,
    organizationId,
    puts.map((put) => ({ sha256: put.sha256, bytes: put.change.bytes })),
  );
  const memoryIds = await writeHeads(transaction, commit, puts, versions);
  await writeHistory(transaction, commit, changes, puts, versions, memoryIds);
  return [...versions].filter(([path]) => !deleted.includes(path));
}

function prepare(change: PutChange, mount: StoredMount): PreparedPut {
  const text = decodeText(change.bytes);
  const maximum = text === null ? mount.maximumBinaryBytes : mount.maximumTextBytes;
  if (text === null && maximum === 0) {
    throw new FileError(
      "binary",
      `${change.path} is binary, and ${mount.prefix} takes text only. Keep it in /workspace.`,
    );
  }
  if (change.bytes.length > maximum) {
    throw new FileError(
      "too_large",
      `${change.path} has ${change.bytes.length} bytes; ${mount.prefix} takes at most ${maximum} per file.`,
    );
  }
  return { change, sha256: sha256Of(change.bytes), text };
}

async function lastVersions(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: StoredMount,
  paths: readonly string[],
) {
  const rows = await transaction
    .selectFrom("file_versions")
    .select(["path", (expression) => expression.fn.max("version").as("version")])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("path", "in", storedPaths(mount, paths))
    .groupBy("path")
    .execute();
  return new Map(rows.map((row) => [visiblePath(mount, row.path), row.version]));
}

/** In the order of their hashes: two mounts that store the same contents at once cannot wait for each other in a ring. */
async function insertBlobs(
  transaction: Transaction<Tables>,
  organizationId: string,
  blobs: readonly { readonly sha256: string; readonly bytes: Uint8Array }[],
): Promise<void> {
  const unique = new Map(blobs.map((blob) => [blob.sha256, blob.bytes]));
  const sorted = [...unique].sort(([left], [right]) => (left < right ? -1 : 1));
  if (sorted.length === 0) return;
  await transaction
    .insertInto("file_blobs")
    .values(sorted.map(([sha256, bytes]) => ({ organization_id: organizationId, sha256, content: Buffer.from(bytes) })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function keepLost(
  transaction: Transaction<Tables>,
  mount: StoredMount,
  actor: FileActor,
  lost: readonly LostText[],
): Promise<void> {
  if (lost.length === 0) return;
  await insertBlobs(
    transaction,
    actor.organizationId,
    lost.map(({ bytes }) => ({ sha256: sha256Of(bytes), bytes })),
  );
  await transaction
    .insertInto("file_conflicts")
    .values(
      lost.map(({ path, bytes, baseVersion, headVersion }) => ({
        organization_id: actor.organizationId,
        mount: mount.key,
        path: pathInMount(mount, path),
        base_version: baseVersion,
        head_version: headVersion,
        sha256: sha256Of(bytes),
        session_id: actor.sessionId,
        user_id: actor.userId ?? null,
        tool_use_id: actor.toolUseId,
      })),
    )
    .execute();
}

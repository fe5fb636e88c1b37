/**
 * Changes that depend on what is there: a transaction takes the mount's row lock first, looks at the heads, decides, and
 * has them applied (apply.ts). Because every change of a mount waits for that lock, what the decision saw is still true
 * when it is written, and the mount's revisions have no gaps.
 *
 * The heads are read after the lock is held, in a statement of its own: a statement that locks and joins sees rows that
 * changed while it waited with the snapshot from before.
 * @module
 */
import type { Kysely, Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import { type FileActor, FileError } from "../store.ts";
import { applyChanges, type ApplyOptions } from "./apply.ts";
import type { FileChange } from "./change.ts";
import { keepLost, type LostText } from "./conflicts.ts";
import { findEntries, readContents, type StoredDirectory, type StoredFile } from "./rows.ts";

/** What one call did to one path, when it was carried out before. */
export interface RecordedChange {
  readonly version: number;
  readonly operation: Tables["file_versions"]["operation"];
  readonly sha256: string | null;
  readonly size: number;
  readonly replacements: number;
}

/** What a decision may look at, while the mount is locked. */
export interface CommitView {
  readonly heads: ReadonlyMap<string, StoredFile>;
  /** Those of the paths that are directories. */
  readonly directories: ReadonlyMap<string, StoredDirectory>;
  /** Changes of these paths that the same call made earlier. */
  readonly recorded: ReadonlyMap<string, RecordedChange>;
  readonly transaction: Transaction<Tables>;
  contents(hashes: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>>;
}

export interface CommitDecision<Result> {
  /** In any order: they are applied in that of `inOrder` (change.ts). */
  readonly changes: readonly FileChange[];
  readonly lost?: readonly LostText[];
  readonly options?: Pick<ApplyOptions, "known">;
  readonly result: Result;
}

export interface CommitRequest {
  readonly mount: StoredMount;
  readonly actor: FileActor;
  /** Stored paths below the mount; those that the decision sees. */
  readonly paths: readonly string[];
}

export interface Committed<Result> {
  /** Of the mount, after the commit; the same as before when nothing changed. */
  readonly revision: number;
  /** New version of each path that was put, also where its content was there already, and of each moved file. */
  readonly versions: ReadonlyMap<string, number>;
  readonly result: Result;
}

/**
 * All changes or none. A decision that throws rolls everything back.
 * @throws FileError `too_large`, `binary`, `path_conflict`, `is_directory`, `not_directory`, `not_found`; `conflict` where
 *   an expected version is not the one that is there
 */
export async function commitFiles<Result>(
  database: Kysely<Tables>,
  request: CommitRequest,
  decide: (view: CommitView) => Promise<CommitDecision<Result>> | CommitDecision<Result>,
): Promise<Committed<Result>> {
  const { mount, actor, paths } = request;
  return database.transaction().execute(async (transaction) => {
    const revision = await lockMount(transaction, actor.organizationId, mount.key);
    const { files, directories } = await findEntries(transaction, actor.organizationId, mount, paths);
    const recorded = await findRecorded(transaction, mount, actor, paths);
    const contents = (hashes: readonly string[]) => readContents(transaction, actor.organizationId, hashes);
    const decision = await decide({ heads: files, directories, recorded, transaction, contents });
    await keepLost(transaction, mount, actor, decision.lost ?? [], decision.changes);
    if (decision.changes.length === 0) return { revision, versions: new Map(), result: decision.result };
    const applied = await applyChanges(transaction, mount, actor, decision.changes, decision.options);
    const [stale] = applied.stale;
    if (stale !== undefined) throw new FileError("conflict", describeStale(stale, files.get(stale)?.version));
    return { revision: applied.revision, versions: applied.versions, result: decision.result };
  });
}

function describeStale(path: string, version: number | undefined): string {
  const there = version === undefined ? "" : `: it is version ${version} now`;
  return `${path} has another version than was expected${there}. Nothing was changed. Read it again first.`;
}

/** The mount's revision, which stays until the transaction ends. */
export async function lockMount(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: string,
): Promise<number> {
  const lock = () =>
    transaction
      .selectFrom("file_mounts")
      .select("revision")
      .where("organization_id", "=", organizationId)
      .where("mount", "=", mount)
      .forUpdate()
      .executeTakeFirst();
  const found = await lock();
  if (found !== undefined) return found.revision;
  await transaction
    .insertInto("file_mounts")
    .values({ organization_id: organizationId, mount })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await lock())?.revision ?? 0;
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
    .where(
      "path",
      "in",
      paths.map((path) => pathInMount(mount, path)),
    )
    .orderBy("version")
    .execute();
  return new Map(rows.map(({ path, size_bytes, ...row }) => [visiblePath(mount, path), { ...row, size: size_bytes }]));
}

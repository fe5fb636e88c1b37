/**
 * Putting a file, a directory or a whole mount back to what it was: a new commit like any other, so that it can be looked
 * at and undone itself.
 * @module
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../../mounts.ts";
import { type FileActor, FileError } from "../../store.ts";
import { applyChanges } from "../apply.ts";
import type { FileChange } from "../change.ts";
import { belowOrAt } from "../directories.ts";
import { kindAfter, type PastFile, readContents } from "../rows.ts";
import { refuseTooMuch } from "./held-contents.ts";
import { withLockedMount } from "./locked.ts";
import { findVersion, type PointInTime, revisionAt } from "./versions.ts";

export interface RestoreRequest {
  readonly mount: StoredMount;
  /** `via` is recorded as `undo` whatever it says. */
  readonly actor: FileActor;
  /** A file, a directory, or the mount itself; not needed with a version, which has a path. */
  readonly path?: string;
  readonly to: PointInTime | { readonly versionId: string };
  /** Answers what would be done. */
  readonly dryRun?: boolean;
}

export interface RestoredPath {
  readonly path: string;
  readonly change: "written" | "deleted" | "directory_made" | "directory_removed";
}

export interface Restored {
  /** Of the mount, after the restoration; the same as before when all was as it was to be. */
  readonly revision: number;
  readonly changes: readonly RestoredPath[];
}

/** @throws FileError `not_found` where there was nothing, `failed` where a content was redacted; those of a commit */
export async function restoreFiles(database: Kysely<Tables>, request: RestoreRequest): Promise<Restored> {
  const { mount, actor, to } = request;
  const { organizationId } = actor;
  return withLockedMount(database, organizationId, mount, { dryRun: request.dryRun ?? false }, async (transaction) => {
    const wanted =
      "versionId" in to
        ? await atVersion(transaction, organizationId, mount, to.versionId)
        : await atPoint(transaction, organizationId, mount, request.path ?? mount.prefix, to);
    const changes = await changesTowards(transaction, organizationId, mount, wanted);
    const applied = await applyChanges(transaction, mount, { ...actor, via: "undo" }, changes);
    return { revision: applied.revision, changes: changes.map(tell) };
  });
}

function tell(change: FileChange): RestoredPath {
  const names = {
    put: "written",
    delete: "deleted",
    make_directory: "directory_made",
    remove_directory: "directory_removed",
    move: "written",
  } as const;
  return { path: change.path, change: names[change.type] };
}

type Past = Omit<PastFile, "redacted"> & {
  readonly memoryId: string | null;
  readonly redactedAt: Date | null;
  /** Bytes. */
  readonly size: number;
};

interface Wanted {
  /** Stored; empty for the whole mount. */
  readonly root: string;
  readonly past: readonly Past[];
}

async function atVersion(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: StoredMount,
  versionId: string,
): Promise<Wanted> {
  const found = await findVersion(transaction, organizationId, mount, versionId);
  const { path, kind, version, redactedAt } = found;
  if (kind !== "file") throw new FileError("not_found", `Version ${version} of ${path} has no content to restore.`);
  if (redactedAt !== null) throw redacted(path);
  return { root: pathInMount(mount, path), past: [found] };
}

async function atPoint(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
  point: PointInTime,
): Promise<Wanted> {
  const root = path === mount.prefix || path === "/" ? "" : pathInMount(mount, path);
  const revision = await revisionAt(transaction, organizationId, mount, point);
  const rows = await transaction
    .selectFrom("file_versions")
    .distinctOn("path")
    .select(["path", "version", "sha256", "executable", "operation", "memory_id", "redacted_at", "size_bytes"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("revision", "<=", revision)
    .where(inside(root))
    .orderBy("path")
    .orderBy("version", "desc")
    .execute();
  const past = rows.map(({ operation, memory_id: memoryId, redacted_at: redactedAt, size_bytes: size, ...row }) => ({
    ...row,
    memoryId,
    redactedAt,
    size,
    kind: kindAfter(operation, row),
    path: visiblePath(mount, row.path),
  }));
  if (root !== "" && !past.some((file) => file.path === path && file.kind !== "absent"))
    throw new FileError("not_found", `${path} did not exist at revision ${revision}.`);
  return { root, past: past.filter((file) => file.kind !== "absent") };
}

function inside(root: string) {
  return root === "" ? sql<boolean>`true` : belowOrAt(root);
}

async function changesTowards(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: StoredMount,
  { root, past }: Wanted,
): Promise<readonly FileChange[]> {
  const rows = await transaction
    .selectFrom("file_entries")
    .select(["path", "kind", "sha256", "executable"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where(inside(root))
    .execute();
  const present = new Map(rows.map((row) => [visiblePath(mount, row.path), row]));
  const wanted = new Map(past.map((file) => [file.path, file]));
  const changes: FileChange[] = [];
  for (const [path, { kind }] of present) {
    if (wanted.get(path)?.kind !== kind) changes.push({ type: kind === "file" ? "delete" : "remove_directory", path });
  }
  const differing = past.filter((file) => {
    const head = present.get(file.path);
    return file.kind === "file" && (head?.sha256 !== file.sha256 || head?.executable !== file.executable);
  });
  for (const { path, kind } of past) {
    if (kind === "directory" && present.get(path)?.kind !== "directory") changes.push({ type: "make_directory", path });
  }
  const sizes = new Map(differing.map((file) => [file.sha256 ?? "", file.size]));
  refuseTooMuch(sizes, "restore one directory or file after the other.");
  const contents = await readContents(transaction, organizationId, [...sizes.keys()]);
  for (const { path, sha256, executable, memoryId, redactedAt } of differing) {
    // Another file may have the same content still.
    const bytes = sha256 === null || redactedAt !== null ? undefined : contents.get(sha256);
    if (bytes === undefined) throw redacted(path);
    const revived = memoryId === null || present.get(path)?.kind === "file" ? {} : { memoryId };
    changes.push({ type: "put", path, bytes, executable, operation: "write", ...revived });
  }
  return changes;
}

function redacted(path: string): FileError {
  return new FileError("failed", `What ${path} was then has been redacted: its content is gone. Nothing was restored.`);
}

/** What happened to stored files: one row for each change of a path, newest first. @module */
import { type Kysely, sql } from "kysely";
import type { FileOperation, FileOrigin } from "../../../db/tables/files.ts";
import type { Tables } from "../../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../../mounts.ts";
import { FileError } from "../../store.ts";
import { belowOrAt } from "../directories.ts";
import { kindAfter, type PathKind, readContents } from "../rows.ts";

export interface FileVersion {
  /** memver_… */
  readonly id: string;
  /** Of the file that it belongs to, through all its names; null for a directory. */
  readonly memoryId: string | null;
  readonly path: string;
  /** What is at the path since then. */
  readonly kind: PathKind;
  readonly version: number;
  readonly revision: number;
  readonly ordinal: number;
  readonly operation: FileOperation;
  /** That it was made from; of a move, the version at the other path. */
  readonly baseVersion: number | null;
  /** Of a move: where the file came from, or went to. */
  readonly otherPath: string | null;
  readonly sha256: string | null;
  readonly size: number;
  readonly executable: boolean;
  readonly sessionId: string | null;
  readonly userId: string | null;
  readonly toolUseId: string | null;
  readonly via: FileOrigin;
  readonly untrusted: boolean;
  readonly createdAt: Date;
  /** The content is gone for good. */
  readonly redactedAt: Date | null;
  readonly redactedBy: unknown;
}

/** All conditions hold together. */
export interface VersionFilter {
  /** This path alone. */
  readonly path?: string;
  /** This path and everything below it. */
  readonly below?: string;
  /** One file under all its names. */
  readonly memoryId?: string;
  readonly sessionId?: string;
  readonly toolUseId?: string;
  readonly operations?: readonly FileOperation[];
  /** Inclusive, both. */
  readonly from?: Date;
  readonly until?: Date;
}

export interface Page {
  /** At most 1,000. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor?: string;
}

export interface VersionPage {
  readonly versions: readonly FileVersion[];
  /** Null: there are no more. */
  readonly next: string | null;
}

type VersionRow = Awaited<ReturnType<typeof selectRows>>[number];

function selectVersions(database: Kysely<Tables>, organizationId: string, mount: StoredMount) {
  return database
    .selectFrom("file_versions")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key);
}

function selectRows(database: Kysely<Tables>, organizationId: string, mount: StoredMount) {
  return selectVersions(database, organizationId, mount).execute();
}

export function versionOf(mount: StoredMount, row: VersionRow): FileVersion {
  return {
    id: row.id,
    memoryId: row.memory_id,
    path: visiblePath(mount, row.path),
    kind: kindAfter(row.operation, row),
    version: row.version,
    revision: row.revision,
    ordinal: row.ordinal,
    operation: row.operation,
    baseVersion: row.base_version,
    otherPath: row.other_path === null ? null : visiblePath(mount, row.other_path),
    sha256: row.sha256,
    size: row.size_bytes,
    executable: row.executable,
    sessionId: row.session_id,
    userId: row.user_id,
    toolUseId: row.tool_use_id,
    via: row.via,
    untrusted: row.untrusted,
    createdAt: row.created_at,
    redactedAt: row.redacted_at,
    redactedBy: row.redacted_by,
  };
}

/**
 * Newest first.
 * @throws FileError `failed` for a cursor of no page
 */
export async function listVersions(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  filter: VersionFilter,
  { limit, cursor }: Page,
): Promise<VersionPage> {
  const most = Math.max(1, Math.min(1_000, limit));
  let query = database
    .selectFrom("file_versions")
    .selectAll()
    .where(ofMount(organizationId, mount, filter));
  if (filter.path !== undefined) query = query.where("path", "=", pathInMount(mount, filter.path));
  if (filter.below !== undefined && filter.below !== mount.prefix)
    query = query.where(belowOrAt(pathInMount(mount, filter.below)));
  if (filter.memoryId !== undefined) query = query.where("memory_id", "=", filter.memoryId);
  if (filter.sessionId !== undefined) query = query.where("session_id", "=", filter.sessionId);
  if (filter.toolUseId !== undefined) query = query.where("tool_use_id", "=", filter.toolUseId);
  if (filter.operations !== undefined) query = query.where("operation", "in", filter.operations);
  if (filter.from !== undefined) query = query.where("created_at", ">=", filter.from);
  if (filter.until !== undefined) query = query.where("created_at", "<=", filter.until);
  if (cursor !== undefined) {
    const [revision, ordinal] = readCursor(cursor);
    query = query.where(sql<boolean>`(revision, ordinal) < (${revision}::bigint, ${ordinal}::integer)`);
  }
  // Versions of one path are in the order of its revisions, and in that of an index.
  if (filter.path !== undefined) query = query.orderBy("version", "desc");
  const rows = await query
    .orderBy("revision", "desc")
    .orderBy("ordinal", "desc")
    .limit(most + 1)
    .execute();
  const versions = rows.slice(0, most).map((row) => versionOf(mount, row));
  const last = versions.at(-1);
  return { versions, next: rows.length > most && last !== undefined ? `${last.revision}.${last.ordinal}` : null };
}

/**
 * Where the history of one file, session or call is looked for, its index is to be used, not the one of the whole mount,
 * which has the order that is asked for: it cannot be by an expression.
 */
function ofMount(organizationId: string, { key }: StoredMount, { memoryId, sessionId, toolUseId }: VersionFilter) {
  const byFile = memoryId !== undefined;
  const [organization, mount] = [
    byFile || (sessionId !== undefined && toolUseId === undefined) ? sql`organization_id || ''` : sql`organization_id`,
    byFile || toolUseId !== undefined ? sql`mount || ''` : sql`mount`,
  ];
  return sql<boolean>`(${organization} = ${organizationId} and ${mount} = ${key})`;
}

function readCursor(cursor: string): readonly [number, number] {
  const match = /^(\d{1,15})\.(\d{1,9})$/.exec(cursor);
  if (match === null)
    throw new FileError("failed", "The cursor is not one of a page of versions: leave it out to begin.");
  return [Number(match[1]), Number(match[2])];
}

/** @throws FileError `not_found` */
export async function findVersion(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  versionId: string,
): Promise<FileVersion> {
  const row = await selectVersions(database, organizationId, mount).where("id", "=", versionId).executeTakeFirst();
  if (row === undefined)
    throw new FileError("not_found", `There is no version ${JSON.stringify(versionId.slice(0, 80))}.`);
  return versionOf(mount, row);
}

/** The content is null for a directory, for an end, and where it was redacted. */
export async function readVersion(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  versionId: string,
): Promise<{ readonly version: FileVersion; readonly bytes: Uint8Array | null }> {
  const version = await findVersion(database, organizationId, mount, versionId);
  if (version.sha256 === null || version.redactedAt !== null) return { version, bytes: null };
  const bytes = (await readContents(database, organizationId, [version.sha256])).get(version.sha256);
  return { version, bytes: bytes ?? null };
}

/** A moment in the history of a mount. */
export type PointInTime = { readonly revision: number } | { readonly instant: Date };

/** The last revision that had been made by then; zero before the first. @throws FileError `not_found` for one to come */
export async function revisionAt(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  point: PointInTime,
): Promise<number> {
  if ("revision" in point) {
    const last = await lastRevision(database, organizationId, mount);
    if (point.revision <= last) return point.revision;
    const name = mount.prefix === "" ? "The store" : mount.prefix;
    throw new FileError("not_found", `${name} has no revision ${point.revision} yet: the last one is ${last}.`);
  }
  const row = await database
    .selectFrom("file_versions")
    .select("revision")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("created_at", "<=", point.instant)
    .orderBy("revision", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.revision ?? 0;
}

async function lastRevision(database: Kysely<Tables>, organizationId: string, mount: StoredMount): Promise<number> {
  const row = await database
    .selectFrom("file_mounts")
    .select("revision")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .executeTakeFirst();
  return row?.revision ?? 0;
}

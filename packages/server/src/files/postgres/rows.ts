/** Questions to the stored files that change nothing. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";

/** The head of one path. */
export interface StoredFile {
  readonly path: string;
  readonly version: number;
  readonly revision: number;
  readonly sha256: string;
  readonly size: number;
  readonly executable: boolean;
  /** Who changed it last; null for an import or the API. */
  readonly sessionId: string | null;
  readonly updatedAt: Date;
}

/** A path as it was at some version. `sha256` is null where that version deleted it. */
export interface PastFile {
  readonly path: string;
  readonly version: number;
  readonly sha256: string | null;
  readonly executable: boolean;
}

const headColumns = [
  "path",
  "version",
  "revision",
  "sha256",
  "size_bytes",
  "executable",
  "session_id",
  "updated_at",
] as const;

interface HeadRow {
  readonly path: string;
  readonly version: number;
  readonly revision: number;
  readonly sha256: string | null;
  readonly size_bytes: number;
  readonly executable: boolean;
  readonly session_id: string | null;
  readonly updated_at: Date;
}

function headOf(row: HeadRow): StoredFile[] {
  if (row.sha256 === null) return [];
  const { path, version, revision, sha256, executable } = row;
  return [
    {
      path,
      version,
      revision,
      sha256,
      size: row.size_bytes,
      executable,
      sessionId: row.session_id,
      updatedAt: row.updated_at,
    },
  ];
}

export async function findHeads(
  database: Kysely<Tables>,
  organizationId: string,
  paths: readonly string[],
): Promise<Map<string, StoredFile>> {
  if (paths.length === 0) return new Map();
  const rows = await database
    .selectFrom("file_entries")
    .select(headColumns)
    .where("organization_id", "=", organizationId)
    .where("path", "in", paths)
    .where("kind", "=", "file")
    .execute();
  return new Map(rows.flatMap(headOf).map((head) => [head.path, head]));
}

/** Every file of a mount, in path order. */
export async function listHeads(
  database: Kysely<Tables>,
  organizationId: string,
  mount: string,
): Promise<StoredFile[]> {
  const rows = await database
    .selectFrom("file_entries")
    .select(headColumns)
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount)
    .where("kind", "=", "file")
    .orderBy("path")
    .execute();
  return rows.flatMap(headOf);
}

/** The content of each hash. The caller bounds their number and size. */
export async function readContents(
  database: Kysely<Tables>,
  organizationId: string,
  hashes: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  if (hashes.length === 0) return found;
  const rows = await database
    .selectFrom("file_blobs")
    .select(["sha256", "content"])
    .where("organization_id", "=", organizationId)
    .where("sha256", "in", hashes)
    .execute();
  for (const row of rows) found.set(row.sha256, row.content);
  return found;
}

/** The last version of each path that is not newer than the revision. */
export async function filesAtRevision(
  database: Kysely<Tables>,
  organizationId: string,
  mount: string,
  revision: number,
): Promise<PastFile[]> {
  return database
    .selectFrom("file_versions")
    .distinctOn("path")
    .select(["path", "version", "sha256", "executable"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount)
    .where("revision", "<=", revision)
    .orderBy("path")
    .orderBy("version", "desc")
    .execute();
}

/** Zero for a mount that nobody has written to. */
export async function mountRevision(database: Kysely<Tables>, organizationId: string, mount: string): Promise<number> {
  const row = await database
    .selectFrom("file_mounts")
    .select("revision")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount)
    .executeTakeFirst();
  return row?.revision ?? 0;
}

/** One file as it was. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount } from "../mounts.ts";

/** At most one of them; the present state without any. */
export interface Moment {
  readonly version?: number;
  readonly revision?: number;
  readonly at?: Date;
}

export interface PastContent {
  readonly version: number;
  /** Null: it did not exist then, or was a directory. */
  readonly sha256: string | null;
  /** Null: redacted, or nothing. */
  readonly bytes: Uint8Array | null;
  readonly redacted: boolean;
}

/** Null when the path had no version by then. */
export async function readPast(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
  moment: Moment,
): Promise<PastContent | null> {
  const condition =
    moment.version !== undefined
      ? sql`version = ${moment.version}`
      : moment.revision !== undefined
        ? sql`revision <= ${moment.revision}`
        : moment.at !== undefined
          ? sql`created_at <= ${moment.at}`
          : sql`true`;
  // The row first, its content by its hash: one row is read, whatever the length of the history.
  const { rows } = await sql<{ version: number; sha256: string | null; content: Buffer | null; redacted: boolean }>`
    select found.version, found.sha256, found.redacted_at is not null as redacted,
      (select content from file_blobs
       where organization_id = ${organizationId} and file_blobs.sha256 = found.sha256) as content
    from (
      select version, sha256, redacted_at from file_versions
      where organization_id = ${organizationId} and mount = ${mount.key} and path = ${pathInMount(mount, path)}
        and ${condition}
      order by version desc limit 1
    ) as found`.execute(database);
  const [row] = rows;
  if (row === undefined) return null;
  return { version: row.version, sha256: row.sha256, bytes: row.redacted ? null : row.content, redacted: row.redacted };
}

/** A version of a path by its number; the last one without. */
export async function findVersionId(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
  version?: number,
): Promise<{ readonly id: string; readonly version: number } | null> {
  let query = database
    .selectFrom("file_versions")
    .select(["id", "version"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path));
  if (version !== undefined) query = query.where("version", "=", version);
  return (await query.orderBy("version", "desc").limit(1).executeTakeFirst()) ?? null;
}

/** The one of some mounts to which a version belongs. */
export async function mountOfVersion(
  database: Kysely<Tables>,
  organizationId: string,
  mounts: readonly StoredMount[],
  versionId: string,
): Promise<StoredMount | null> {
  const row = await database
    .selectFrom("file_versions")
    .select("mount")
    .where("organization_id", "=", organizationId)
    .where("id", "=", versionId)
    .executeTakeFirst();
  return mounts.find(({ key }) => key === row?.mount) ?? null;
}

/** The one of some mounts to which a conflict belongs. */
export async function mountOfConflict(
  database: Kysely<Tables>,
  organizationId: string,
  mounts: readonly StoredMount[],
  id: string,
): Promise<StoredMount | null> {
  if (!/^\d{1,15}$/.test(id)) return null;
  const row = await database
    .selectFrom("file_conflicts")
    .select("mount")
    .where("organization_id", "=", organizationId)
    .where("id", "=", Number(id))
    .executeTakeFirst();
  return mounts.find(({ key }) => key === row?.mount) ?? null;
}

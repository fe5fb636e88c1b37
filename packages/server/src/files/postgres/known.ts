/** Which versions a session has seen: a write of a whole file over any other is refused. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";

/** Versions only grow: a slow request cannot make a session forget a newer one. */
export async function markKnown(
  database: Kysely<Tables>,
  owner: { readonly organizationId: string; readonly sessionId: string },
  mount: StoredMount,
  versions: ReadonlyMap<string, number>,
): Promise<void> {
  if (versions.size === 0) return;
  await database
    .insertInto("file_reads")
    .values(
      [...versions].map(([path, version]) => ({
        session_id: owner.sessionId,
        organization_id: owner.organizationId,
        mount: mount.key,
        path: pathInMount(mount, path),
        version,
      })),
    )
    .onConflict((conflict) =>
      conflict
        .columns(["session_id", "mount", "path"])
        .doUpdateSet((expression) => ({ version: expression.ref("excluded.version") }))
        .whereRef("file_reads.version", "<", "excluded.version"),
    )
    .execute();
}

export async function knownVersion(
  database: Kysely<Tables>,
  sessionId: string | null,
  mount: StoredMount,
  path: string,
): Promise<number | null> {
  if (sessionId === null) return null;
  const row = await database
    .selectFrom("file_reads")
    .select("version")
    .where("session_id", "=", sessionId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path))
    .executeTakeFirst();
  return row?.version ?? null;
}

/** The versions that a session has seen, of all files of a mount. */
export async function knownVersions(
  database: Kysely<Tables>,
  sessionId: string,
  mount: StoredMount,
): Promise<ReadonlyMap<string, number>> {
  const rows = await database
    .selectFrom("file_reads")
    .select(["path", "version"])
    .where("session_id", "=", sessionId)
    .where("mount", "=", mount.key)
    .execute();
  return new Map(rows.map(({ path, version }) => [visiblePath(mount, path), version]));
}

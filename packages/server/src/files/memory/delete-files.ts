/** Deleting all files of a mount, their history and their contents, for good. @module */
import { sql, type Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";

/**
 * Contents that the organization's other files have too stay. Whoever writes one of them at the same time in another mount
 * holds its row until the end of that commit: so the rows are locked first, in the order in which commits lock them, and
 * what needs them is looked for in a statement of its own.
 */
export async function deleteStoredFiles(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: string,
): Promise<void> {
  await transaction
    .selectFrom("file_mounts")
    .select("mount")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount)
    .forUpdate()
    .execute();
  const { rows } = await sql<{ sha256: string }>`
    select sha256 from file_versions
    where organization_id = ${organizationId} and mount = ${mount} and sha256 is not null
    union
    select sha256 from file_conflicts where organization_id = ${organizationId} and mount = ${mount}`.execute(
    transaction,
  );
  const hashes = rows.map((row) => row.sha256);
  for (const table of ["file_versions", "file_conflicts", "file_reads"] as const) {
    await transaction
      .deleteFrom(table)
      .where("organization_id", "=", organizationId)
      .where("mount", "=", mount)
      .execute();
  }
  // Heads and their texts go with it.
  await transaction
    .deleteFrom("file_mounts")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount)
    .execute();
  await sql`
    select from file_blobs where organization_id = ${organizationId} and sha256 = any(${hashes}::text[])
    order by sha256 for update`.execute(transaction);
  await sql`
    delete from file_blobs blob
    where blob.organization_id = ${organizationId} and blob.sha256 = any(${hashes}::text[])
      and not exists (select from file_versions version
        where version.organization_id = blob.organization_id and version.sha256 = blob.sha256)
      and not exists (select from file_entries entry
        where entry.organization_id = blob.organization_id and entry.sha256 = blob.sha256)
      and not exists (select from file_conflicts conflict
        where conflict.organization_id = blob.organization_id and conflict.sha256 = blob.sha256)`.execute(transaction);
}

/** Taking a content out of history for good: its row stays, and says who did it and when. @module */
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { pathInMount, type StoredMount } from "../../mounts.ts";
import { FileError } from "../../store.ts";
import { withLockedMount } from "./locked.ts";
import { type FileVersion, findVersion } from "./versions.ts";

export interface RedactRequest {
  readonly organizationId: string;
  readonly mount: StoredMount;
  readonly versionId: string;
  /** Kept with the row; nothing secret. */
  readonly by: unknown;
}

/**
 * The content itself goes where no head, no other version and no kept text has it too. A version that is redacted
 * already stays as it is.
 * @throws FileError `not_found`; `conflict` for the version that is the file now
 */
export async function redactVersion(database: Kysely<Tables>, request: RedactRequest): Promise<FileVersion> {
  const { organizationId, mount, versionId, by } = request;
  return withLockedMount(database, organizationId, mount, { dryRun: false }, async (transaction) => {
    const version = await findVersion(transaction, organizationId, mount, versionId);
    if (version.redactedAt !== null) return version;
    await refuseHead(transaction, organizationId, mount, version);
    await transaction
      .updateTable("file_versions")
      .set({ redacted_at: new Date(), redacted_by: JSON.stringify(by) })
      .where("organization_id", "=", organizationId)
      .where("id", "=", versionId)
      .execute();
    if (version.sha256 !== null) await dropContent(transaction, organizationId, mount, version);
    return findVersion(transaction, organizationId, mount, versionId);
  });
}

async function refuseHead(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: StoredMount,
  { path, version }: FileVersion,
): Promise<void> {
  const head = await transaction
    .selectFrom("file_entries")
    .select("version")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path))
    .executeTakeFirst();
  if (head?.version === version) {
    throw new FileError(
      "conflict",
      `Version ${version} is what ${path} is now, and cannot be redacted: write or delete the file first.`,
    );
  }
}

/**
 * Whoever writes the same content again in another mount holds its row until the end of the commit: so the row is locked
 * first, and looked at in a statement of its own.
 */
async function dropContent(
  transaction: Transaction<Tables>,
  organizationId: string,
  mount: StoredMount,
  { path, sha256 }: FileVersion,
): Promise<void> {
  await transaction
    .deleteFrom("file_conflicts")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", mount.key)
    .where("path", "=", pathInMount(mount, path))
    .where("sha256", "=", sha256 ?? "")
    .execute();
  await sql`select from file_blobs where organization_id = ${organizationId} and sha256 = ${sha256} for update`.execute(
    transaction,
  );
  await sql`update file_blobs set content = null
    where organization_id = ${organizationId} and sha256 = ${sha256}
      and not exists (select from file_entries
        where file_entries.organization_id = ${organizationId} and file_entries.sha256 = ${sha256})
      and not exists (select from file_versions where file_versions.organization_id = ${organizationId}
        and file_versions.sha256 = ${sha256} and redacted_at is null)
      and not exists (select from file_conflicts
        where file_conflicts.organization_id = ${organizationId} and file_conflicts.sha256 = ${sha256})`.execute(
    transaction,
  );
}

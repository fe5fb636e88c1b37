/** Versions of skills as rows: snapshots of files, named by the hashes of their contents. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";

export interface VersionFile {
  /** Relative to the skill. */
  readonly path: string;
  readonly sha256: string;
  readonly size: number;
  readonly executable: boolean;
}

export interface NewSkillVersion {
  readonly organizationId: string;
  readonly skillId: string;
  readonly description: string;
  readonly files: readonly VersionFile[];
}

/** The files of each version, in path order. */
export async function filesOfVersions(
  database: Kysely<Tables>,
  versionIds: readonly string[],
): Promise<ReadonlyMap<string, readonly VersionFile[]>> {
  const found = new Map<string, VersionFile[]>(versionIds.map((id) => [id, []]));
  if (versionIds.length === 0) return found;
  const rows = await database
    .selectFrom("skill_version_files")
    .select(["version_id", "path", "sha256", "size_bytes", "executable"])
    .where("version_id", "in", versionIds)
    .orderBy("path")
    .execute();
  for (const { version_id, size_bytes, ...file } of rows) found.get(version_id)?.push({ ...file, size: size_bytes });
  return found;
}

/** The identifier of the skill that has this directory; made where there is none. */
export async function claimSkill(transaction: Kysely<Tables>, organizationId: string, name: string): Promise<string> {
  await transaction
    .insertInto("skills")
    .values({ id: createId("skill"), organization_id: organizationId, name, display_name: name })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await transaction
    .selectFrom("skills")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("name", "=", name)
    .executeTakeFirstOrThrow();
  return row.id;
}

/** The latest version of the skill, from now on. */
export async function insertVersion(transaction: Kysely<Tables>, version: NewSkillVersion): Promise<string> {
  const { organizationId, skillId, description, files } = version;
  const id = createId("skillVersion");
  await transaction
    .insertInto("skill_versions")
    .values({
      id,
      skill_id: skillId,
      organization_id: organizationId,
      description,
      files: files.length,
      bytes: files.reduce((sum, file) => sum + file.size, 0),
    })
    .execute();
  await transaction
    .insertInto("skill_version_files")
    .values(
      files.map(({ size, ...file }) => ({
        version_id: id,
        organization_id: organizationId,
        ...file,
        size_bytes: size,
      })),
    )
    .execute();
  await transaction
    .updateTable("skills")
    .set({ latest_version_id: id, updated_at: new Date() })
    .where("id", "=", skillId)
    .execute();
  return id;
}

/** What the directory holds from this revision on; null for nothing. Said again, the first time counts. */
export async function setHead(
  transaction: Kysely<Tables>,
  head: {
    readonly organizationId: string;
    readonly skillId: string;
    readonly revision: number;
    readonly versionId: string | null;
  },
): Promise<void> {
  await transaction
    .insertInto("skill_heads")
    .values({
      skill_id: head.skillId,
      organization_id: head.organizationId,
      revision: head.revision,
      version_id: head.versionId,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

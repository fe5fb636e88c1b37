/** Deleting versions of skills, and skills that have none left. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { Problem } from "../../../errors.ts";
import { skillsMount } from "../../mounts.ts";
import type { FileChange } from "../change.ts";
import { commitFiles } from "../commit.ts";
import { emptied, pathsBelow } from "./import-skill.ts";
import { translated } from "./upload-skill.ts";
import { sameFiles } from "./settle-skills.ts";
import { filesOfVersions } from "./version-rows.ts";

/** @throws Problem `not_found`, `skill_has_versions` */
export async function removeSkill(database: Kysely<Tables>, organizationId: string, skillId: string): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    const skill = await transaction
      .selectFrom("skills")
      .select("id")
      .where("organization_id", "=", organizationId)
      .where("id", "=", skillId)
      .forUpdate()
      .executeTakeFirst();
    if (skill === undefined)
      throw new Problem(
        "not_found",
        `No skill has the id ${JSON.stringify(skillId)}.`,
        "List them with GET /v1/skills.",
      );
    const versions = await transaction
      .selectFrom("skill_versions")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .where("skill_id", "=", skillId)
      .executeTakeFirstOrThrow();
    if (Number(versions.count) > 0)
      throw new Problem(
        "skill_has_versions",
        `The skill has ${versions.count} ${Number(versions.count) === 1 ? "version" : "versions"}.`,
        "Delete them first: DELETE /v1/skills/{id}/versions/{version}.",
      );
    await transaction.deleteFrom("skills").where("id", "=", skillId).execute();
  });
}

/**
 * Where the directory holds this version, it holds the one before it afterwards, or nothing.
 * @throws Problem
 */
export async function removeVersion(
  database: Kysely<Tables>,
  organizationId: string,
  { skillId, name }: { readonly skillId: string; readonly name: string },
  versionId: string,
): Promise<void> {
  const actor = { organizationId, sessionId: null, toolUseId: null, via: "api" as const };
  for (;;) {
    const previous = await versionBefore(database, skillId, versionId);
    const paths = new Set([
      ...(await pathsBelow(database, organizationId, name)),
      ...(previous === null ? [] : (await filesOf(database, name, previous)).keys()),
    ]);
    const removed = await translated(
      commitFiles<boolean>(database, { mount: skillsMount, actor, paths: [...paths] }, async (view) => {
        const { transaction } = view;
        // Others have changed the skill before it was locked.
        const now = await versionBefore(transaction, skillId, versionId);
        const present = await pathsBelow(transaction, organizationId, name);
        if (now !== previous || present.some((path) => !paths.has(path))) return { changes: [], result: false };
        const isHead = await isHeadOf(transaction, skillId, versionId);
        if (previous !== null) await keepHeads(transaction, previous, versionId);
        await deleteVersion(transaction, skillId, versionId);
        if (!isHead) return { changes: [], result: true };
        const wanted = previous === null ? new Map<string, PastFile>() : await filesOf(transaction, name, previous);
        const contents = await view.contents([...new Set([...wanted.values()].map((file) => file.sha256))]);
        const empty = await emptied(transaction, organizationId, name, [...wanted.keys()]);
        return { changes: [...changesTo(present, wanted, contents), ...empty], result: true };
      }),
    );
    if (removed.result) return;
  }
}

interface PastFile {
  readonly sha256: string;
  readonly executable: boolean;
}

/** By visible path. */
async function filesOf(
  database: Kysely<Tables>,
  name: string,
  versionId: string,
): Promise<ReadonlyMap<string, PastFile>> {
  const files = (await filesOfVersions(database, [versionId])).get(versionId) ?? [];
  return new Map(files.map(({ path, ...file }) => [`${skillsMount.prefix}/${name}/${path}`, file]));
}

function changesTo(
  present: readonly string[],
  wanted: ReadonlyMap<string, PastFile>,
  contents: ReadonlyMap<string, Uint8Array>,
): readonly FileChange[] {
  const stale = present.filter((path) => !wanted.has(path)).map((path) => ({ type: "delete" as const, path }));
  const puts = [...wanted].map(([path, { sha256, executable }]) => {
    const bytes = contents.get(sha256);
    if (bytes === undefined)
      throw new Problem("not_found", `The content of ${path} in the version before was redacted.`, "Upload a version.");
    return { type: "put" as const, path, bytes, executable, operation: "write" as const };
  });
  return [...stale, ...puts];
}

/** The newest besides this one. */
async function versionBefore(database: Kysely<Tables>, skillId: string, versionId: string): Promise<string | null> {
  const row = await database
    .selectFrom("skill_versions")
    .select("id")
    .where("skill_id", "=", skillId)
    .where("id", "!=", versionId)
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.id ?? null;
}

async function isHeadOf(transaction: Kysely<Tables>, skillId: string, versionId: string): Promise<boolean> {
  const head = await transaction
    .selectFrom("skill_heads")
    .select("version_id")
    .where("skill_id", "=", skillId)
    .orderBy("revision", "desc")
    .limit(1)
    .executeTakeFirst();
  return head?.version_id === versionId;
}

/** Where the version before holds the same files, no commit follows that would make it the head. */
async function keepHeads(transaction: Kysely<Tables>, previous: string, versionId: string): Promise<void> {
  const files = await filesOfVersions(transaction, [previous, versionId]);
  if (!sameFiles(files.get(previous) ?? [], files.get(versionId) ?? [])) return;
  await transaction
    .updateTable("skill_heads")
    .set({ version_id: previous })
    .where("version_id", "=", versionId)
    .execute();
}

async function deleteVersion(transaction: Kysely<Tables>, skillId: string, versionId: string): Promise<void> {
  await transaction.deleteFrom("skill_versions").where("id", "=", versionId).execute();
  const newest = await transaction
    .selectFrom("skill_versions")
    .select("id")
    .where("skill_id", "=", skillId)
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  await transaction
    .updateTable("skills")
    .set({ latest_version_id: newest?.id ?? null, updated_at: new Date() })
    .where("id", "=", skillId)
    .execute();
}

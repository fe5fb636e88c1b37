/** New skills and new versions, from uploads. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { Problem } from "../../../errors.ts";
import type { SkillSource } from "../../../skills/intake/skill-source.ts";
import type { SkillUpload } from "../../../skills/port.ts";
import type { FileActor } from "../../store.ts";
import { FileError } from "../../store.ts";
import { importSkill } from "./import-skill.ts";
import { claimSkill } from "./version-rows.ts";

function actorOf(organizationId: string): FileActor {
  return { organizationId, sessionId: null, toolUseId: null, via: "api" };
}

/** @returns the skill's identifier @throws Problem `invalid_skill`, `name_taken` */
export async function createSkill(
  database: Kysely<Tables>,
  organizationId: string,
  { source, displayName }: SkillUpload,
): Promise<string> {
  const { name } = await translated(
    importSkill(database, {
      actor: actorOf(organizationId),
      ...source,
      async admit(transaction, named) {
        const id = await claimSkill(transaction, organizationId, named);
        const { latest_version_id: latest } = await transaction
          .selectFrom("skills")
          .select("latest_version_id")
          .where("id", "=", id)
          .executeTakeFirstOrThrow();
        if (latest !== null) throw nameTaken(named, id);
        await transaction
          .updateTable("skills")
          .set({ display_name: displayName ?? named })
          .where("id", "=", id)
          .execute();
      },
    }),
  );
  return findSkill(database, organizationId, name);
}

function nameTaken(name: string, id: string): Problem {
  return new Problem(
    "name_taken",
    `A skill is called ${JSON.stringify(name)} already: ${id}.`,
    "Add a version to it with POST /v1/skills/{id}/versions, or choose another name.",
  );
}

async function findSkill(database: Kysely<Tables>, organizationId: string, name: string): Promise<string> {
  const { id } = await database
    .selectFrom("skills")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("name", "=", name)
    .executeTakeFirstOrThrow();
  return id;
}

/** @returns the version's identifier @throws Problem `invalid_skill` */
export async function createVersion(
  database: Kysely<Tables>,
  organizationId: string,
  skill: { readonly skillId: string; readonly name: string },
  source: SkillSource,
): Promise<string> {
  const directory = source.directory ?? skill.name;
  if (directory !== skill.name) {
    throw new Problem(
      "invalid_skill",
      `The files lie in the directory ${JSON.stringify(directory.slice(0, 80))}, but the skill is called ${JSON.stringify(skill.name)}.`,
      "A skill keeps its name: create another skill for another name.",
    );
  }
  const { revision } = await translated(
    importSkill(database, { actor: actorOf(organizationId), files: source.files, directory }),
  );
  // What this very commit has made its head; others may have come since.
  const head = await database
    .selectFrom("skill_heads")
    .select("version_id")
    .where("skill_id", "=", skill.skillId)
    .where("revision", "<=", revision)
    .orderBy("revision", "desc")
    .limit(1)
    .executeTakeFirst();
  if (typeof head?.version_id === "string") return head.version_id;
  throw new Problem("not_found", "The version was deleted at once.", "Upload it again.");
}

/** @throws Problem */
export async function translated<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (error.code === "conflict") throw new Problem("version_conflict", error.message, "Send it again.");
    throw new Problem("invalid_skill", error.message, "The rules are in docs/guide/skills.md.");
  }
}

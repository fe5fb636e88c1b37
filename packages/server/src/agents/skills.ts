/** The skills that an agent names: checked when they are named, as all else of an agent is. @module */
import type { SkillInput } from "@exoloop/protocol/agents";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";

const howToList = "List them with GET /v1/skills.";

/**
 * Every skill exists in the organization, in the version that is named, once.
 * @throws Problem `not_found`, `invalid_request`, `unsupported`
 */
export async function checkSkills(
  database: Kysely<Tables>,
  organizationId: string,
  inputs: readonly SkillInput[],
): Promise<void> {
  if (inputs.length === 0) return;
  const ids = inputs.map((input) => input.skill_id);
  const rows = await database
    .selectFrom("skills")
    .innerJoin("skill_versions", "skill_versions.skill_id", "skills.id")
    .select(["skills.id as skill", "skill_versions.id as version"])
    .where("skills.organization_id", "=", organizationId)
    .where("skills.id", "in", ids)
    .execute();
  for (const [index, { type, skill_id: id, version }] of inputs.entries()) {
    const where = `skills[${index}]`;
    if (type === "anthropic")
      throw new Problem(
        "unsupported",
        `${where}: this server has no skills of Anthropic's.`,
        'Upload the skill with POST /v1/skills, and name it with {"type":"custom"}.',
      );
    if (ids.indexOf(id) !== index)
      throw new Problem("invalid_request", `${where}: the skill ${JSON.stringify(id)} is named twice.`, "Keep one.");
    const versions = rows.filter((row) => row.skill === id).map((row) => row.version);
    if (versions.length === 0)
      throw new Problem("not_found", `${where}: no skill has the id ${JSON.stringify(id)}.`, howToList);
    if (typeof version === "string" && version !== "latest" && !versions.includes(version))
      throw new Problem(
        "not_found",
        `${where}: the skill ${JSON.stringify(id)} has no version ${JSON.stringify(version)}.`,
        'List them with GET /v1/skills/{id}/versions, or name "latest".',
      );
  }
}

/** The skills of a session, from Postgres. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { skillsMount, visiblePath } from "../mounts.ts";
import type { SessionSkillFile, SessionSkills, SkillSet } from "../session-skills.ts";
import { mountRevision } from "./rows.ts";

/** @example const skills = createSessionSkills(database); (await skills.at(viewer, 3)).files.get("/skills/review/SKILL.md") */
export function createSessionSkills(database: Kysely<Tables>): SessionSkills {
  return {
    pinned: ({ organizationId }) => mountRevision(database, organizationId, skillsMount),
    at: ({ organizationId }, revision) => wholeOrganization(database, organizationId, revision),
  };
}

async function wholeOrganization(
  database: Kysely<Tables>,
  organizationId: string,
  revision: number,
): Promise<SkillSet> {
  const rows = await database
    .selectFrom("file_versions")
    .distinctOn("path")
    .select(["path", "sha256", "size_bytes", "executable"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", skillsMount.key)
    .where("revision", "<=", revision)
    .orderBy("path")
    .orderBy("version", "desc")
    .execute();
  const files = new Map<string, SessionSkillFile>();
  for (const { path: stored, sha256, size_bytes, executable } of rows) {
    // Deleted at that revision.
    if (sha256 === null) continue;
    const path = visiblePath(skillsMount, stored);
    files.set(path, { path, sha256, size: size_bytes, executable });
  }
  return { revision, files };
}

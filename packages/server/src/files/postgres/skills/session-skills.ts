/**
 * The skills of a session, from Postgres: the heads of all skills of its organization at a revision of the mount, or
 * the versions that its agent names.
 * @module
 */
import { type Kysely, sql } from "kysely";
import { preparedMark } from "../../../db/prepared.ts";
import type { Tables } from "../../../db/tables.ts";
import { skillsMount } from "../../mounts.ts";
import type { SessionSkill, SessionSkillFile, SessionSkills, SkillSet, SkillViewer } from "../../session-skills.ts";
import { mountRevision } from "../rows.ts";
import { filesOfVersions } from "./version-rows.ts";

/** Sets kept in memory, by the versions in them: what a version holds never changes. */
const keptSets = 32;

/** @example const skills = createSessionSkills(database); (await skills.at(viewer, 3)).files.get("/skills/review/SKILL.md") */
export function createSessionSkills(database: Kysely<Tables>): SessionSkills {
  const sets = new Map<string, SkillSet>();
  return {
    newest: ({ organizationId }) => mountRevision(database, organizationId, skillsMount),
    pinned: (viewer) => pinOf(database, viewer),
    async at(viewer, revision) {
      const skills = await skillsOf(database, viewer, revision);
      const key = `${viewer.organizationId} ${revision} ${skills.map((skill) => skill.version).join(" ")}`;
      const set = sets.get(key) ?? { revision, skills, files: await filesOf(database, skills) };
      sets.delete(key);
      sets.set(key, set);
      const oldest = sets.keys().next().value;
      if (sets.size > keptSets && oldest !== undefined) sets.delete(oldest);
      return set;
    },
  };
}

/** What the log says that the latest turn began with; the newest where it says nothing. Asked around every command. */
async function pinOf(database: Kysely<Tables>, { organizationId, sessionId }: SkillViewer): Promise<number> {
  // The type literally, so that the index of these records alone is used.
  const { rows } = await sql<{ revision: number }>`${sql.raw(preparedMark)}
    select coalesce(
      (select (record->>'revision')::bigint from session_events
        where session_id = ${sessionId} and type = 'x.skills' order by seq desc limit 1),
      (select revision from file_mounts where organization_id = ${organizationId} and mount = ${skillsMount.key}),
      0) as revision`.execute(database);
  return Number(rows[0]?.revision ?? 0);
}

interface SkillRow {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly created_at: Date;
}

/** In the order of their names. */
async function skillsOf(
  database: Kysely<Tables>,
  { organizationId, sessionId }: SkillViewer,
  revision: number,
): Promise<readonly SessionSkill[]> {
  const { rows } = await sql<SkillRow>`
    with chosen as (
      select distinct on (skill_id) choice->>'skill_id' as skill_id, nullif(choice->>'version', 'latest') as version_id
      from sessions, jsonb_array_elements(coalesce(sessions.agent->'skills', '[]')) as choice
      where sessions.id = ${sessionId} and choice->>'type' = 'custom'
    ),
    heads as (
      select distinct on (skill_id) skill_id, version_id from skill_heads
      where organization_id = ${organizationId} and revision <= ${revision}
      order by skill_id, revision desc
    )
    select skills.id, skills.name, skill_versions.id as version, skill_versions.description, skill_versions.created_at
    from skills
    left join chosen on chosen.skill_id = skills.id
    left join heads on heads.skill_id = skills.id
    join skill_versions
      on skill_versions.id = coalesce(chosen.version_id, heads.version_id) and skill_versions.skill_id = skills.id
    where skills.organization_id = ${organizationId}
      and (chosen.skill_id is not null or not exists (select from chosen))
    order by skills.name`.execute(database);
  return rows.map(({ id, name, version, description, created_at }) => ({
    id,
    name,
    directory: `${skillsMount.prefix}/${name}`,
    version,
    description,
    changedAt: created_at.getTime(),
  }));
}

async function filesOf(
  database: Kysely<Tables>,
  skills: readonly SessionSkill[],
): Promise<ReadonlyMap<string, SessionSkillFile>> {
  const versions = await filesOfVersions(
    database,
    skills.map((skill) => skill.version),
  );
  const files = new Map<string, SessionSkillFile>();
  for (const { directory, version } of skills) {
    for (const { path, ...file } of versions.get(version) ?? []) {
      const visible = `${directory}/${path}`;
      files.set(visible, { path: visible, ...file });
    }
  }
  return files;
}

/** The Skills API on Postgres: skills and their versions are read from rows, and changed through commits of the mount. @module */
import type { Skill, SkillVersion } from "@exoloop/protocol/skills";
import { type Kysely, sql } from "kysely";
import { listCondition, listPage, type ListQuery, positionColumn, readOrder } from "../../../agents/list.ts";
import type { Tables } from "../../../db/tables.ts";
import { Problem } from "../../../errors.ts";
import type { Principal } from "../../../orgs/principal.ts";
import { zipSkill } from "../../../skills/intake/zip.ts";
import { latestVersion, type SkillService } from "../../../skills/port.ts";
import { skillsMount } from "../../mounts.ts";
import { readContents } from "../rows.ts";
import { createSkill, createVersion } from "./upload-skill.ts";
import { removeSkill, removeVersion } from "./remove-skill.ts";
import { filesOfVersions } from "./version-rows.ts";

/** @example const skills = createSkillService(database); await skills.list(principal, query) */
export function createSkillService(database: Kysely<Tables>): SkillService {
  return {
    async create(principal, upload) {
      const id = await createSkill(database, principal.organizationId, upload);
      return readSkill(database, principal, id);
    },
    get: (principal, skillId) => readSkill(database, principal, skillId),
    list: (principal, query) => listSkills(database, principal, query),
    remove: ({ organizationId }, skillId) => removeSkill(database, organizationId, skillId),
    async addVersion(principal, skillId, source) {
      const { name } = (await readSkill(database, principal, skillId)).x_exoloop;
      const versionId = await createVersion(database, principal.organizationId, { skillId, name }, source);
      return readVersion(database, principal, skillId, versionId);
    },
    getVersion: (principal, skillId, version) => readVersion(database, principal, skillId, version),
    async listVersions(principal, skillId, query) {
      await readSkill(database, principal, skillId);
      return listVersions(database, skillId, query);
    },
    async removeVersion(principal, skillId, versionId) {
      // Another version may be the latest by the time that the request is here.
      if (versionId === latestVersion) throw versionNotFound(skillId, versionId);
      const version = await readVersion(database, principal, skillId, versionId);
      await removeVersion(database, principal.organizationId, { skillId, name: version.name }, version.id);
      return version.id;
    },
    download: (principal, skillId, version) => download(database, principal, skillId, version),
  };
}

function skillNotFound(skillId: string): Problem {
  return new Problem("not_found", `No skill has the id ${JSON.stringify(skillId)}.`, "List them with GET /v1/skills.");
}

function versionNotFound(skillId: string, version: string): Problem {
  return new Problem(
    "not_found",
    `The skill ${JSON.stringify(skillId)} has no version ${JSON.stringify(version)}.`,
    "List them with GET /v1/skills/{id}/versions, and name one by its id.",
  );
}

/** Skills that have versions, with the place where sessions find them; for a worker those that its agent names. */
function selectSkills(database: Kysely<Tables>, { organizationId, session }: Principal) {
  const named = session === undefined ? sql<boolean>`true` : namedByAgent(session.sessionId);
  return database
    .selectFrom("skills")
    .where(named)
    .select(["id", "name", "display_name", "latest_version_id", "created_at", "updated_at"])
    .select(({ exists, selectFrom }) =>
      exists(
        selectFrom("file_entries")
          .select("file_entries.id")
          .whereRef("file_entries.organization_id", "=", "skills.organization_id")
          .where("file_entries.mount", "=", skillsMount.key)
          .where("file_entries.kind", "=", "file")
          .where(sql<boolean>`file_entries.path = '/' || skills.name || '/SKILL.md'`),
      ).as("present"),
    )
    .where("organization_id", "=", organizationId)
    .where("latest_version_id", "is not", null);
}

function namedByAgent(sessionId: string) {
  return sql<boolean>`exists (
    select from sessions, jsonb_array_elements(sessions.agent->'skills') as named
    where sessions.id = ${sessionId} and named->>'skill_id' = skills.id)`;
}

type SkillRow = Awaited<ReturnType<ReturnType<typeof selectSkills>["executeTakeFirstOrThrow"]>>;

function toSkill(row: SkillRow): Skill {
  return {
    id: row.id,
    type: "skill",
    display_name: row.display_name,
    latest_version_id: row.latest_version_id ?? "",
    source: { type: "custom" },
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    x_exoloop: {
      name: row.name,
      directory: row.present === true ? `${skillsMount.prefix}/${row.name}` : null,
    },
  };
}

async function readSkill(database: Kysely<Tables>, principal: Principal, skillId: string): Promise<Skill> {
  const row = await selectSkills(database, principal).where("id", "=", skillId).executeTakeFirst();
  if (row === undefined) throw skillNotFound(skillId);
  return toSkill(row);
}

async function listSkills(database: Kysely<Tables>, principal: Principal, query: ListQuery) {
  const order = readOrder(query);
  const rows = await selectSkills(database, principal)
    .select(positionColumn.as("list_position"))
    .where(listCondition({ ...query, includeArchived: true }))
    .orderBy("created_at", order)
    .orderBy("id", order)
    .limit(query.limit + 1)
    .execute();
  const found = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...found, rows: found.rows.map(toSkill) };
}

const versionColumns = ["id", "skill_id", "description", "files", "bytes", "created_at"] as const;

interface VersionRow {
  readonly id: string;
  readonly skill_id: string;
  readonly description: string;
  readonly files: number;
  readonly bytes: number;
  readonly created_at: Date;
}

function toVersion(row: VersionRow, name: string): SkillVersion {
  return {
    id: row.id,
    type: "skill_version",
    skill_id: row.skill_id,
    name,
    description: row.description,
    created_at: row.created_at.toISOString(),
    x_exoloop: { files: row.files, bytes: row.bytes },
  };
}

async function readVersion(
  database: Kysely<Tables>,
  principal: Principal,
  skillId: string,
  version: string,
): Promise<SkillVersion> {
  const skill = await readSkill(database, principal, skillId);
  const row = await database
    .selectFrom("skill_versions")
    .select(versionColumns)
    .where("id", "=", version === latestVersion ? skill.latest_version_id : version)
    .where("skill_id", "=", skillId)
    .executeTakeFirst();
  if (row !== undefined) return toVersion(row, skill.x_exoloop.name);
  throw versionNotFound(skillId, version);
}

async function listVersions(database: Kysely<Tables>, skillId: string, query: ListQuery) {
  const order = readOrder(query);
  const rows = await database
    .selectFrom("skill_versions")
    .select(versionColumns)
    .select(positionColumn.as("list_position"))
    .select(({ selectFrom }) =>
      selectFrom("skills").select("skills.name").whereRef("skills.id", "=", "skill_versions.skill_id").as("name"),
    )
    .where("skill_id", "=", skillId)
    .where(listCondition({ ...query, includeArchived: true }))
    .orderBy("created_at", order)
    .orderBy("id", order)
    .limit(query.limit + 1)
    .execute();
  const found = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...found, rows: found.rows.map((row) => toVersion(row, row.name ?? "")) };
}

async function download(database: Kysely<Tables>, principal: Principal, skillId: string, asked: string) {
  const version = await readVersion(database, principal, skillId, asked);
  const files = (await filesOfVersions(database, [version.id])).get(version.id) ?? [];
  const hashes = [...new Set(files.map(({ sha256 }) => sha256))];
  const contents = await readContents(database, principal.organizationId, hashes);
  const whole = files.map(({ path, sha256, executable }) => {
    const bytes = contents.get(sha256);
    if (bytes !== undefined) return { path, bytes, executable };
    throw new Problem(
      "not_found",
      `The content of ${path} was redacted: this version cannot be downloaded.`,
      "Upload a new version.",
    );
  });
  return { name: version.name, bytes: await zipSkill(version.name, whole) };
}

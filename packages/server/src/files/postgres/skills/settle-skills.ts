/**
 * What every commit into the skills mount goes through, at its end and in its transaction: each directory that it touched
 * must now be a skill, or be gone; what it holds becomes a version. So a skill that breaks a rule cannot be stored, by
 * whichever way it comes, and nothing of its commit is.
 * @module
 */
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { nameProblem, readManifest, type SkillManifest } from "../../../skills/format/manifest.ts";
import { describeProblems, type SkillProblem } from "../../../skills/format/problem.ts";
import { largestSkill, manifestName, mostSkillFiles } from "../../../skills/format/skill-files.ts";
import { skillsMount } from "../../mounts.ts";
import { FileError } from "../../store.ts";
import { decodeText } from "../../text.ts";
import { readContents } from "../rows.ts";
import { claimSkill, filesOfVersions, insertVersion, setHead, type VersionFile } from "./version-rows.ts";

export interface SettledCommit {
  readonly organizationId: string;
  /** Of the skills mount, after the commit; the last one's where nothing has changed. */
  readonly revision: number;
}

/**
 * @param transaction That of the commit: it holds the mount's lock.
 * @throws FileError `invalid_skill`
 */
export async function settleSkills(transaction: Kysely<Tables>, commit: SettledCommit): Promise<void> {
  for (const name of await touchedDirectories(transaction, commit)) {
    const files = await directoryFiles(transaction, commit.organizationId, name);
    if (files.length === 0) await leaveDirectory(transaction, commit, name);
    else await settleSkill(transaction, commit, name, files);
  }
}

/** First segments of all paths that this revision changed, by whatever kind of change. */
async function touchedDirectories(
  transaction: Kysely<Tables>,
  { organizationId, revision }: SettledCommit,
): Promise<readonly string[]> {
  const rows = await transaction
    .selectFrom("file_versions")
    .select("path")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", skillsMount.key)
    .where("revision", "=", revision)
    .execute();
  return [...new Set(rows.map(({ path }) => path.split("/")[1] ?? ""))].sort();
}

/** @throws FileError where a file lies beside the skills */
async function directoryFiles(
  transaction: Kysely<Tables>,
  organizationId: string,
  name: string,
): Promise<readonly VersionFile[]> {
  const rows = await transaction
    .selectFrom("file_entries")
    .select(["path", "sha256", "size_bytes", "executable"])
    .where("organization_id", "=", organizationId)
    .where("mount", "=", skillsMount.key)
    .where("kind", "=", "file")
    .where(({ or, and, eb }) =>
      // The character after the slash: everything below the directory sorts between the two.
      or([eb("path", "=", `/${name}`), and([eb("path", ">", `/${name}/`), eb("path", "<", `/${name}0`)])]),
    )
    .orderBy("path")
    .execute();
  return rows.flatMap(({ path, sha256, size_bytes, executable }) => {
    if (path === `/${name}`) {
      const message = "lies beside the skills: every file belongs into the directory of a skill.";
      throw invalid([{ file: placeOf(name), line: null, rule: "file-path", message }]);
    }
    if (sha256 === null) return [];
    return [{ path: path.slice(name.length + 2), sha256, size: size_bytes, executable }];
  });
}

async function settleSkill(
  transaction: Kysely<Tables>,
  commit: SettledCommit,
  name: string,
  files: readonly VersionFile[],
): Promise<void> {
  const { organizationId, revision } = commit;
  const skillId = await claimSkill(transaction, organizationId, name);
  const latest = await latestVersion(transaction, skillId);
  if (latest !== null && sameFiles(latest.files, files)) {
    await setHead(transaction, { organizationId, skillId, revision, versionId: latest.id });
    return;
  }
  const { description } = await checkSkill(transaction, organizationId, name, files);
  const versionId = await insertVersion(transaction, { organizationId, skillId, description, files });
  await setHead(transaction, { organizationId, skillId, revision, versionId });
}

async function latestVersion(transaction: Kysely<Tables>, skillId: string) {
  const skill = await transaction
    .selectFrom("skills")
    .select("latest_version_id")
    .where("id", "=", skillId)
    .executeTakeFirst();
  const id = skill?.latest_version_id ?? null;
  return id === null ? null : { id, files: (await filesOfVersions(transaction, [id])).get(id) ?? [] };
}

export function sameFiles(left: readonly VersionFile[], right: readonly VersionFile[]): boolean {
  const lines = (files: readonly VersionFile[]) =>
    files.map(({ path, sha256, executable }) => `${sha256} ${executable} ${path}`).join("\n");
  return lines(left) === lines(right);
}

function placeOf(name: string): string {
  return `${skillsMount.prefix}/${name}`;
}

function invalid(problems: readonly SkillProblem[]): FileError {
  return new FileError("invalid_skill", `${describeProblems(problems)} Nothing was stored.`);
}

async function checkSkill(
  transaction: Kysely<Tables>,
  organizationId: string,
  name: string,
  files: readonly VersionFile[],
): Promise<SkillManifest> {
  const problems: SkillProblem[] = [];
  const told = (rule: SkillProblem["rule"], message: string, file = placeOf(name)) =>
    void problems.push({ file, line: null, rule, message });
  const wrongName = nameProblem(name);
  if (wrongName !== null) told(wrongName.rule, `the directory's ${wrongName.message}`);
  if (files.length > mostSkillFiles)
    told("file-count", `has ${files.length} files; at most ${mostSkillFiles} are taken.`);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > largestSkill) told("file-size", `has ${size} bytes in all; at most ${largestSkill} are taken.`);
  const manifest = files.find(({ path }) => path === manifestName);
  const place = `${placeOf(name)}/${manifestName}`;
  if (manifest === undefined) {
    told("file-missing", "is missing: a skill's files are stored and removed together, in one commit.", place);
    throw invalid(problems);
  }
  const bytes = (await readContents(transaction, organizationId, [manifest.sha256])).get(manifest.sha256);
  const text = bytes === undefined ? null : decodeText(bytes);
  if (text === null) {
    told("file-text", "is not text in UTF-8.", place);
    throw invalid(problems);
  }
  const reading = readManifest(text, wrongName === null ? name : null, place);
  problems.push(...reading.problems);
  if (reading.manifest === null || problems.length > 0) throw invalid(problems);
  return reading.manifest;
}

/** The skill and its versions stay: only /skills holds it no longer. */
async function leaveDirectory(
  transaction: Kysely<Tables>,
  { organizationId, revision }: SettledCommit,
  name: string,
): Promise<void> {
  const skill = await transaction
    .selectFrom("skills")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("name", "=", name)
    .executeTakeFirst();
  if (skill === undefined) return;
  await setHead(transaction, { organizationId, skillId: skill.id, revision, versionId: null });
}

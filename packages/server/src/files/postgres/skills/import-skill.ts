/** Bringing in a whole skill: `/skills/<name>` holds exactly the given files afterwards. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../../db/tables.ts";
import { describeProblems } from "../../../skills/format/problem.ts";
import { readSkill, type SkillFile } from "../../../skills/format/skill-files.ts";
import { skillsMount, visiblePath } from "../../mounts.ts";
import { type FileActor, FileError } from "../../store.ts";
import { isWithin } from "../../path.ts";
import type { FileChange } from "../change.ts";
import { commitFiles } from "../commit.ts";
import { listDirectories } from "../rows.ts";

export interface SkillImport {
  readonly actor: FileActor;
  readonly files: readonly SkillFile[];
  /** The skill's directory; null: the name that SKILL.md tells. */
  readonly directory: string | null;
  /** Called with the mount locked, before anything is written. What it throws undoes all. */
  readonly admit?: (transaction: Kysely<Tables>, name: string) => Promise<void>;
}

export interface ImportedSkill {
  readonly name: string;
  /** Of the skills mount; the same as before when the skill was there already. */
  readonly revision: number;
}

/** Attempts when others change the same directory meanwhile. */
const attempts = 5;

/**
 * All of it or nothing. The same files again change nothing, and make no version.
 * @throws FileError `invalid_skill`, `too_large`, `path_conflict`, `conflict`
 */
export async function importSkill(database: Kysely<Tables>, request: SkillImport): Promise<ImportedSkill> {
  const { manifest, problems } = readSkill(request.files, request.directory);
  if (manifest === null) throw new FileError("invalid_skill", `${describeProblems(problems)} Nothing was stored.`);
  const { name } = manifest;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const revision = await replaceDirectory(database, request, name);
    if (revision !== null) return { name, revision };
  }
  throw new FileError("conflict", `Others change ${directoryOf(name)} all the time. Nothing was stored: try again.`);
}

function directoryOf(name: string): string {
  return `${skillsMount.prefix}/${name}`;
}

/** Null when a file was added to the directory before it was locked. */
async function replaceDirectory(database: Kysely<Tables>, request: SkillImport, name: string): Promise<number | null> {
  const { actor, files, admit } = request;
  const { organizationId } = actor;
  const wanted = new Map(files.map((file) => [`${directoryOf(name)}/${file.path.normalize("NFC")}`, file]));
  const stale = (await pathsBelow(database, organizationId, name)).filter((path) => !wanted.has(path));
  const paths = [...wanted.keys(), ...stale];
  const { revision, result } = await commitFiles<boolean>(
    database,
    { mount: skillsMount, actor, paths },
    async ({ transaction }) => {
      const known = new Set(paths);
      const present = await pathsBelow(transaction, organizationId, name);
      if (present.some((path) => !known.has(path))) return { changes: [], result: false };
      await admit?.(transaction, name);
      const empty = await emptied(transaction, organizationId, name, [...wanted.keys()]);
      const gone = stale.map((path) => ({ type: "delete" as const, path }));
      return { changes: [...gone, ...empty, ...puts(wanted)], result: true };
    },
  );
  return result ? revision : null;
}

function puts(wanted: ReadonlyMap<string, SkillFile>) {
  return [...wanted].map(([path, { bytes, executable }]) => ({
    type: "put" as const,
    path,
    bytes,
    executable: executable ?? false,
    operation: "write" as const,
  }));
}

/** Directories of the skill that will hold none of the files: nothing of an earlier version is left. */
export async function emptied(
  database: Kysely<Tables>,
  organizationId: string,
  name: string,
  wanted: readonly string[],
): Promise<readonly FileChange[]> {
  const directories = await listDirectories(database, organizationId, skillsMount);
  return directories
    .filter(({ path }) => isWithin(directoryOf(name), path) && !wanted.some((file) => isWithin(path, file)))
    .map(({ path }) => ({ type: "remove_directory", path, ifEmpty: true }));
}

/** Visible paths of the files in the skill's directory. */
export async function pathsBelow(
  database: Kysely<Tables>,
  organizationId: string,
  name: string,
): Promise<readonly string[]> {
  const rows = await database
    .selectFrom("file_entries")
    .select("path")
    .where("organization_id", "=", organizationId)
    .where("mount", "=", skillsMount.key)
    .where("kind", "=", "file")
    .where("path", ">", `/${name}/`)
    // The character after the slash: everything below the directory sorts between the two.
    .where("path", "<", `/${name}0`)
    .execute();
  return rows.map(({ path }) => visiblePath(skillsMount, path));
}

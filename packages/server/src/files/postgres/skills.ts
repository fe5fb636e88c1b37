/** Skills: directories of files under /skills, brought in as a whole. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { skillsMount } from "../mounts.ts";
import { isWithin, resolvePath, storedPath } from "../path.ts";
import { FileError } from "../store.ts";
import { commitFiles } from "./commit.ts";
import { listDirectories, listHeads } from "./rows.ts";

export interface SkillFile {
  /** Relative to the skill, such as `SKILL.md` or `scripts/run.sh`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable?: boolean;
}

/** Bytes of all files of one skill. */
const largestSkill = 30 * 1024 * 1024;

export async function importSkill(
  database: Kysely<Tables>,
  organizationId: string,
  name: string,
  files: readonly SkillFile[],
): Promise<{ readonly revision: number }> {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
    throw new FileError(
      "invalid_path",
      `A skill's name has 1 to 64 small letters, digits and hyphens, unlike ${JSON.stringify(name.slice(0, 80))}.`,
    );
  }
  const size = files.reduce((sum, file) => sum + file.bytes.length, 0);
  if (size > largestSkill)
    throw new FileError("too_large", `The skill ${name} has ${size} bytes, at most ${largestSkill} are taken.`);
  const directory = `${skillsMount.prefix}/${name}`;
  const wanted = new Map(files.map((file) => [skillPath(directory, file.path), file]));
  if (!wanted.has(`${directory}/SKILL.md`)) throw new FileError("invalid_path", `The skill ${name} has no SKILL.md.`);
  const present = (await listHeads(database, organizationId, skillsMount)).filter((head) =>
    head.path.startsWith(`${directory}/`),
  );
  const stale = present.map((head) => head.path).filter((path) => !wanted.has(path));
  const directories = (await listDirectories(database, organizationId, skillsMount)).filter(
    (found) => found.path.startsWith(`${directory}/`) && ![...wanted.keys()].some((path) => isWithin(found.path, path)),
  );
  const request = {
    mount: skillsMount,
    actor: { organizationId, sessionId: null, toolUseId: null, via: "import" as const },
    paths: [...wanted.keys(), ...stale],
  };
  const { revision } = await commitFiles(database, request, () => ({
    changes: [
      ...stale.map((path) => ({ type: "delete" as const, path })),
      ...directories.map(({ path }) => ({ type: "remove_directory" as const, path, ifEmpty: true })),
      ...[...wanted].map(([path, file]) => ({
        type: "put" as const,
        path,
        bytes: file.bytes,
        executable: file.executable ?? false,
        operation: "write" as const,
      })),
    ],
    result: null,
  }));
  return { revision };
}

function skillPath(directory: string, path: string): string {
  const resolved = storedPath(resolvePath(path, directory));
  if (path.startsWith("/") || !resolved.startsWith(`${directory}/`)) {
    throw new FileError("invalid_path", `The path ${JSON.stringify(path.slice(0, 200))} leads out of the skill.`);
  }
  return resolved;
}

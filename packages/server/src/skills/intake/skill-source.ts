/** What a skill is brought in from: its files, and the directory that held them. @module */
import type { SkillFile } from "../format/skill-files.ts";

export interface SkillSource {
  /** The name of the directory, which must be the skill's; null where there was none. */
  readonly directory: string | null;
  readonly files: readonly SkillFile[];
}

/** Why nothing was brought in: one sentence, with what to do. */
export class SkillSourceError extends Error {
  override readonly name = "SkillSourceError";
}

/** The last one is what `exoloop files pull` and `push` keep beside the files. */
const litter = new Set([".git", ".DS_Store", "Thumbs.db", ".exoloop-files.json"]);

/** Left behind by file managers, version control and our own command line; never part of a skill. */
export function isLitter(path: string): boolean {
  const segments = path.split("/");
  return segments[0] === "__MACOSX" || segments.some((segment) => litter.has(segment));
}

/**
 * Files of an archive or an upload, which may all lie in one directory or in none.
 * @throws SkillSourceError where they lie in several
 * @example unwrap([{ path: "review/SKILL.md", bytes }]) // { directory: "review", files: [{ path: "SKILL.md", bytes }] }
 */
export function unwrap(files: readonly SkillFile[]): SkillSource {
  const kept = files.filter(({ path }) => !isLitter(path));
  if (kept.some(({ path }) => path === "SKILL.md")) return { directory: null, files: kept };
  const tops = new Set(kept.map(({ path }) => path.split("/")[0] ?? ""));
  const [top = ""] = tops;
  if (kept.length === 0) throw new SkillSourceError("There is no file in it: a skill has at least SKILL.md.");
  if (tops.size > 1) {
    const shown = [...tops].slice(0, 5).map((name) => JSON.stringify(name.slice(0, 80)));
    throw new SkillSourceError(
      `SKILL.md is not at its top, and its files lie in ${tops.size} directories (${shown.join(", ")}${tops.size > 5 ? ", …" : ""}): bring in one skill at a time.`,
    );
  }
  if (kept.some(({ path }) => path === top)) {
    throw new SkillSourceError("SKILL.md is missing at its top, and in a directory at its top.");
  }
  return { directory: top, files: kept.map((file) => ({ ...file, path: file.path.slice(top.length + 1) })) };
}

/** A whole skill, checked before anything of it is stored: its files as they are to be, SKILL.md among them. Pure. @module */
import { foldPath, storedPath } from "../../files/path.ts";
import { FileError } from "../../files/store.ts";
import { decodeText } from "../../files/text.ts";
import { readManifest, type SkillManifest } from "./manifest.ts";
import { quote, type SkillProblem, type SkillRule } from "./problem.ts";

export const manifestName = "SKILL.md";

/** Bytes of all files of one skill. */
export const largestSkill = 30 * 1024 * 1024;
export const mostSkillFiles = 1_000;
/** Bytes of one file. */
export const largestTextFile = 1024 * 1024;
export const largestBinaryFile = 10 * 1024 * 1024;

export interface SkillFile {
  /** Relative to the skill, such as `SKILL.md` or `scripts/run.sh`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable?: boolean;
}

export interface SkillReading {
  /** Null when there is a problem. */
  readonly manifest: SkillManifest | null;
  readonly problems: readonly SkillProblem[];
  readonly notices: readonly SkillProblem[];
}

/**
 * @param directory The skill's directory; null takes the name that SKILL.md tells.
 * @example readSkill([{ path: "SKILL.md", bytes }], "review").problems
 */
export function readSkill(files: readonly SkillFile[], directory: string | null): SkillReading {
  const problems = [...checkFiles(files)];
  const file = files.find(({ path }) => path === manifestName);
  if (file === undefined) {
    const twin = files.find(({ path }) => path.toLowerCase() === manifestName.toLowerCase());
    const message =
      twin === undefined ? "is missing at the top of the skill." : `is written ${quote(twin.path)}: rename it.`;
    return { manifest: null, problems: [problem(manifestName, "file-missing", message), ...problems], notices: [] };
  }
  const text = decodeText(file.bytes);
  if (text === null) {
    const message = "is not text in UTF-8.";
    return { manifest: null, problems: [problem(manifestName, "file-text", message), ...problems], notices: [] };
  }
  const reading = readManifest(text, directory);
  problems.unshift(...reading.problems);
  return { manifest: problems.length === 0 ? reading.manifest : null, problems, notices: reading.notices };
}

function problem(file: string, rule: SkillRule, message: string): SkillProblem {
  return { file, line: null, rule, message };
}

function* checkFiles(files: readonly SkillFile[]): Generator<SkillProblem> {
  if (files.length > mostSkillFiles)
    yield problem("The skill", "file-count", `has ${files.length} files; at most ${mostSkillFiles} are taken.`);
  const size = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (size > largestSkill)
    yield problem("The skill", "file-size", `has ${size} bytes in all; at most ${largestSkill} are taken.`);
  const folded = new Map<string, string>();
  for (const { path, bytes } of files) {
    const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path;
    const wrong = pathProblem(path, folded);
    if (wrong !== null) {
      yield problem(quote(shown, 200), "file-path", wrong);
      continue;
    }
    folded.set(foldPath(path), path);
    const largest = decodeText(bytes) === null ? largestBinaryFile : largestTextFile;
    if (bytes.length > largest)
      yield problem(shown, "file-size", `has ${bytes.length} bytes; at most ${largest} are taken for such a file.`);
  }
  yield* overlaps(folded);
}

/** Null for a path that can be stored below a skill. */
function pathProblem(path: string, folded: ReadonlyMap<string, string>): string | null {
  if (path === "" || path.startsWith("/")) return "is not a path relative to the skill.";
  if (!path.isWellFormed() || path.includes("\0")) return "is not valid text.";
  if (path.includes("\\")) return "holds a backslash: separate directories with slashes.";
  if (path.split("/").some((segment) => segment === "" || segment === "." || segment === ".."))
    return "holds an empty, `.` or `..` segment.";
  try {
    // As long and as deep as it will be under /skills/<name>.
    storedPath(`/skills/${"n".repeat(64)}/${path}`);
  } catch (error) {
    if (error instanceof FileError) return error.message.replace(/^The path "(?:[^"\\]|\\.)*" /, "");
    throw error;
  }
  const twin = folded.get(foldPath(path));
  if (twin === undefined) return null;
  return twin === path ? "stands there twice." : `differs only in case from ${quote(twin, 200)}.`;
}

/** A file cannot be a directory as well. */
function* overlaps(folded: ReadonlyMap<string, string>): Generator<SkillProblem> {
  for (const [fold, path] of folded) {
    const segments = fold.split("/");
    for (let length = 1; length < segments.length; length += 1) {
      const above = folded.get(segments.slice(0, length).join("/"));
      if (above !== undefined)
        yield problem(quote(path, 200), "file-path", `lies below ${quote(above, 200)}, which is a file.`);
    }
  }
}

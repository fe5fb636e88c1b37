/**
 * A skill from a directory of this machine. Symbolic links are not followed, neither the directory's own entries nor any
 * below: what a stranger's repository links to is not part of it.
 * @module
 */
import { constants } from "node:fs";
import { lstat, open, readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { largestBinaryFile, largestSkill, mostSkillFiles, type SkillFile } from "../format/skill-files.ts";
import { isLitter, type SkillSource, SkillSourceError } from "./skill-source.ts";

const deepest = 20;

/**
 * @param options.directory What the directory counts as being called; its own name unless given.
 * @throws SkillSourceError
 * @example await readFolder("./review") // { directory: "review", files: [{ path: "SKILL.md", … }] }
 */
export async function readFolder(
  path: string,
  options: { readonly directory?: string | null } = {},
): Promise<SkillSource> {
  const root = resolve(path);
  const found: SkillFile[] = [];
  const budget = { bytes: 0 };
  await walk(root, "", 0, found, budget);
  if (found.length === 0) throw new SkillSourceError(`${path} holds no file: a skill has at least SKILL.md.`);
  return { directory: options.directory === undefined ? basename(root) : options.directory, files: found };
}

async function walk(
  root: string,
  below: string,
  depth: number,
  found: SkillFile[],
  budget: { bytes: number },
): Promise<void> {
  if (depth > deepest) throw new SkillSourceError(`${below} lies more than ${deepest} directories deep.`);
  const names = await readdir(join(root, below)).catch((error: unknown) => {
    throw cannotRead(below === "" ? root : below, error);
  });
  for (const name of names.sort()) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isLitter(path)) continue;
    const { mode, size, ...stats } = await lstatOf(root, path);
    if (stats.isDirectory) {
      await walk(root, path, depth + 1, found, budget);
      continue;
    }
    if (!stats.isFile) {
      throw new SkillSourceError(
        `${path} is a symbolic link or another special file: a skill has regular files only. Put the file itself there.`,
      );
    }
    if (size > largestBinaryFile)
      throw new SkillSourceError(`${path} has ${size} bytes; at most ${largestBinaryFile} are taken.`);
    budget.bytes += size;
    if (budget.bytes > largestSkill || found.length >= mostSkillFiles)
      throw new SkillSourceError(
        `There is more in the directory than a skill may have: ${mostSkillFiles} files, ${largestSkill} bytes in all.`,
      );
    found.push({ path, bytes: await readRegular(root, path), executable: (mode & 0o111) !== 0 });
  }
}

async function lstatOf(root: string, path: string) {
  const stats = await lstat(join(root, path)).catch((error: unknown) => {
    throw cannotRead(path, error);
  });
  return { mode: stats.mode, size: stats.size, isFile: stats.isFile(), isDirectory: stats.isDirectory() };
}

/** What has become a link since it was looked at is not followed. */
async function readRegular(root: string, path: string): Promise<Uint8Array> {
  const handle = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: unknown) => {
    throw cannotRead(path, error);
  });
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

function cannotRead(path: string, error: unknown): SkillSourceError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  return new SkillSourceError(`${path} cannot be read (${code}).`);
}

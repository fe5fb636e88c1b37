/**
 * A skill from a git repository. Its newest commit alone is fetched, without a working copy: trees and files are read from
 * git's own objects, so nothing that the repository brings along is written anywhere under its name, followed, or run.
 * @module
 */
import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { largestBinaryFile, largestSkill, mostSkillFiles, type SkillFile } from "../format/skill-files.ts";
import { runGit } from "./git-program.ts";
import { isLitter, type SkillSource, SkillSourceError } from "./skill-source.ts";

export interface GitSource {
  /** @example "https://example.com/skills.git" */
  readonly url: string;
  /** Below the top of the repository; the top itself unless given. */
  readonly subdirectory?: string;
  /** A branch or a tag; the repository's own choice unless given. */
  readonly reference?: string;
}

const timeoutMs = 60_000;
/** Bytes of what git has fetched; looked at while it runs. */
const largestRepository = 256 * 1024 * 1024;
const lookIntervalMs = 250;
const longestUrl = 2_048;
/** Bytes of the list of a skill's files. */
const largestListing = 4 * 1024 * 1024;

/**
 * @throws SkillSourceError
 * @example await fetchGitSkill({ url: "https://example.com/skills.git", subdirectory: "review" })
 */
export async function fetchGitSkill(source: GitSource): Promise<SkillSource> {
  const url = checkUrl(source.url);
  const segments = checkSubdirectory(source.subdirectory ?? "");
  const reference = checkReference(source.reference);
  const place = await mkdtemp(join(tmpdir(), "exoloop-skill-"));
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const repository = join(place, "repository");
    await fetchRepository(url, reference, repository, signal);
    const blobs = await listBlobs(repository, segments, signal);
    return { directory: segments.at(-1) ?? null, files: await readBlobs(repository, blobs, signal) };
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Whether a person means a repository and not a folder. */
export function looksLikeGit(text: string): boolean {
  return /^[a-z+]+:\/\//.test(text) || /^[\w.-]+@[\w.-]+:/.test(text);
}

function checkUrl(text: string): string {
  const short = /^([\w.-]+)@([\w.-]+):(?!\/\/)([^\s\0]+)$/.exec(text);
  const written = short === null ? text : `ssh://${short[1]}@${short[2]}/${short[3]}`;
  const url = written.length > longestUrl ? null : URL.parse(written);
  if (url === null || !["https:", "ssh:", "file:"].includes(url.protocol)) {
    throw new SkillSourceError(
      "The address of a repository begins with https://, ssh:// or file://, or looks like git@host:path.",
    );
  }
  // An option in the place of a host or a user.
  if (url.hostname.startsWith("-") || url.username.startsWith("-"))
    throw new SkillSourceError("The address of the repository has a host or a user that begins with a hyphen.");
  if (url.password !== "")
    throw new SkillSourceError(
      "The address of the repository holds a password, which others can see: use ssh and a key.",
    );
  return url.href;
}

function checkSubdirectory(text: string): readonly string[] {
  const segments = text.split("/").filter((segment) => segment !== "" && segment !== ".");
  const wrong = (segment: string) => segment === ".." || /[\0\\:]/.test(segment);
  if (text.startsWith("/") || segments.some(wrong))
    throw new SkillSourceError("The subdirectory must be a path inside the repository, such as skills/review.");
  return segments;
}

function checkReference(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (/^\w[\w./+-]{0,199}$/.test(text) && !text.includes("..")) return text;
  throw new SkillSourceError("The branch or tag has characters that no such name has.");
}

async function fetchRepository(
  url: string,
  reference: string | null,
  repository: string,
  signal: AbortSignal,
): Promise<void> {
  const branch = reference === null ? [] : [`--branch=${reference}`];
  const options = ["--quiet", "--bare", "--depth=1", "--single-branch", "--no-tags", "--template=", ...branch];
  const tooLarge = new AbortController();
  const watch = setInterval(() => {
    void sizeOf(repository).then((size) => (size > largestRepository ? tooLarge.abort() : undefined));
  }, lookIntervalMs);
  try {
    const { code, complaint } = await runGit({
      parameters: ["clone", ...options, "--", url, repository],
      largestOutput: largestListing,
      signal: AbortSignal.any([signal, tooLarge.signal]),
    });
    if (tooLarge.signal.aborted)
      throw new SkillSourceError(`The repository is larger than ${largestRepository} bytes, also without its history.`);
    if (signal.aborted) throw new SkillSourceError(`The repository was not there after ${timeoutMs / 1_000} seconds.`);
    if (code !== 0) throw new SkillSourceError(`The repository cannot be fetched: ${complaint}`);
  } finally {
    clearInterval(watch);
  }
}

interface Blob {
  readonly path: string;
  readonly object: string;
  readonly executable: boolean;
}

/** The files of the skill, held to its bounds before any is read. @throws SkillSourceError */
async function listBlobs(
  repository: string,
  segments: readonly string[],
  signal: AbortSignal,
): Promise<readonly Blob[]> {
  const { code, output } = await runGit({
    parameters: [`--git-dir=${repository}`, "ls-tree", "-r", "-z", "-l", `HEAD:${segments.join("/")}`],
    largestOutput: largestListing,
    signal,
  });
  if (code === null) throw new SkillSourceError("The repository has more files there than a skill may have.");
  if (code !== 0)
    throw new SkillSourceError(`The repository has no directory ${JSON.stringify(segments.join("/") || "/")}.`);
  const blobs: Blob[] = [];
  let total = 0;
  for (const line of output.toString("utf8").split("\0")) {
    const fields = /^(\d{6}) (\w+) ([0-9a-f]{40,64}) +(\d+|-)\t(.+)$/s.exec(line);
    if (fields === null) continue;
    const [, mode = "", type, object = "", size = "", path = ""] = fields;
    if (isLitter(path)) continue;
    const shown = JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
    if (type !== "blob" || (mode !== "100644" && mode !== "100755"))
      throw new SkillSourceError(
        `${shown} in the repository is a ${type === "commit" ? "submodule" : "symbolic link"}: a skill has regular files only.`,
      );
    total += Number(size);
    if (Number(size) > largestBinaryFile)
      throw new SkillSourceError(`${shown} has ${size} bytes; at most ${largestBinaryFile} are taken.`);
    if (total > largestSkill || blobs.length >= mostSkillFiles)
      throw new SkillSourceError(
        `The repository has more there than a skill may have: ${mostSkillFiles} files, ${largestSkill} bytes in all.`,
      );
    blobs.push({ path, object, executable: mode === "100755" });
  }
  return blobs;
}

/** In git's own format: a line with name, type and size, the bytes, a line feed. */
async function readBlobs(
  repository: string,
  blobs: readonly Blob[],
  signal: AbortSignal,
): Promise<readonly SkillFile[]> {
  const { code, output } = await runGit({
    parameters: [`--git-dir=${repository}`, "cat-file", "--batch"],
    standardInput: blobs.map(({ object }) => `${object}\n`).join(""),
    largestOutput: largestSkill + blobs.length * 256,
    signal,
  });
  if (code !== 0) throw new SkillSourceError("The repository's files cannot be read.");
  let at = 0;
  return blobs.map(({ path, object, executable }) => {
    const end = output.indexOf("\n", at);
    const [name, type, size] = output.toString("latin1", at, end).split(" ");
    const length = Number(size);
    if (end === -1 || name !== object || type !== "blob" || !(length >= 0))
      throw new SkillSourceError("The repository's files cannot be read.");
    at = end + 1 + length + 1;
    // A copy: a part of the whole output would keep all of it in memory.
    return { path, bytes: Uint8Array.from(output.subarray(end + 1, end + 1 + length)), executable };
  });
}

async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  let size = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    size += (await lstat(join(entry.parentPath, entry.name)).catch(() => null))?.size ?? 0;
  }
  return size;
}

/**
 * Files of the sandbox. Every operation happens inside it, so a path can reach only what the workload itself can reach;
 * none of them thaws the workload.
 *
 * Grep runs in two steps. Literals of which every match must contain one go to `grep -F` inside the sandbox, by standard
 * input; the searched directory is the command's working directory: no text of the model is in the command. What that leaves is read and matched
 * here, line by line, so that /workspace, /memory and /skills speak one dialect and no sandbox needs a search program
 * of its own. Where the pattern has no literal every file is a candidate, within bounds that the error names.
 * @module
 */
import type { TreeEntry } from "@exoloop/sandbox/session";
import { SandboxFileError } from "@exoloop/sandbox/errors";
import type { Workspace } from "../sandboxes/workspace.ts";
import { compileGlob } from "./glob-pattern.ts";
import { relativePath } from "./path.ts";
import type { Required } from "./regex/required.ts";
import { sandboxDirectories } from "./routing/sandbox-directories.ts";
import { type Search, startSearch } from "./search-request.ts";
import {
  type BatchOperations,
  type DirectoryOperations,
  FileError,
  type FileStore,
  type GrepRequest,
  type GrepResult,
} from "./store.ts";
import { decodeText, replaceText } from "./text.ts";

/**
 * Runs a function with the session's sandbox, alone; creates the sandbox when there is none. Does not thaw it.
 * `mayChange`: a snapshot of the workspace follows.
 */
export type UseWorkspace = <Result>(
  use: (workspace: Workspace) => Promise<Result>,
  options: { readonly mayChange: boolean },
) => Promise<Result>;

/** Bytes. */
const largestFile = 10 * 1024 * 1024;
/** Bytes: larger files are data, not source. */
const largestSearchedFile = 2 * 1024 * 1024;
/** Of one search. */
const mostSearchedFiles = 5_000;
const mostSearchedBytes = 128 * 1024 * 1024;
const searchTimeoutMs = 20_000;
/** Files read at the same time. */
const readersAtOnce = 8;

/** Names of text files below the working directory that hold the literal of standard input. */
const grepCommand = "exec grep -rlIZF -f - --exclude-dir=.git --exclude-dir=node_modules";

/** Never searched unless the path itself lies within. */
const skippedDirectories = [".git", "node_modules"];

/** @example const store = createSandboxStore((use, options) => workspaces.useFiles(owner, options, use)) */
export function createSandboxStore(useWorkspace: UseWorkspace): FileStore & DirectoryOperations & BatchOperations {
  const translated = async <Result>(
    use: (workspace: Workspace) => Promise<Result>,
    mayChange = false,
  ): Promise<Result> => {
    try {
      return await useWorkspace(use, { mayChange });
    } catch (error) {
      if (error instanceof SandboxFileError) throw fileError(error);
      throw error;
    }
  };
  return {
    read: (path) => translated(async ({ session }) => ({ bytes: await readFile(session, path), version: null })),
    write: (path, bytes, _actor, expectedVersion) =>
      translated(async ({ session }) => {
        const present = await session.stat({ path });
        if (present !== null && expectedVersion === null)
          throw new FileError("conflict", `${path} exists already. Nothing was written.`);
        await replaceFile(session, path, bytes, present?.mode);
        return { created: present === null, version: null, bytes: bytes.length };
      }, true),
    edit: (path, change) =>
      translated(async ({ session }) => {
        const { bytes, replacements } = replaceText(path, await readFile(session, path), change);
        await replaceFile(session, path, bytes, (await session.stat({ path }))?.mode);
        return { created: false, version: null, bytes: bytes.length, replacements };
      }, true),
    remove: (path) =>
      translated(async ({ session }) => {
        if (!(await session.deleteFile({ path }))) throw new FileError("not_found", `${path} does not exist.`);
      }, true),
    ...sandboxDirectories(translated, (session, path) => readFile(session, path)),
    glob: (path, pattern, maximum) => translated(({ session }) => globTree(session, path, pattern, maximum)),
    grep: (request) => translated(({ session }) => grepTree(session, request)),
  };
}

type Session = Workspace["session"];

async function readFile(session: Session, path: string): Promise<Uint8Array> {
  const bytes = await session.readBinaryFile({ path, maximumBytes: largestFile });
  if (bytes === null) throw new FileError("not_found", `${path} does not exist.`);
  return bytes;
}

async function replaceFile(
  session: Session,
  path: string,
  content: Uint8Array,
  mode: number | undefined,
): Promise<void> {
  await session.writeBinaryFile({ path, content, ...(mode === undefined ? {} : { mode }) });
}

function fileError(error: SandboxFileError): FileError {
  switch (error.code) {
    case "is_directory":
    case "not_directory":
    case "no_permission":
      return new FileError(error.code, `${error.path}: ${error.message}.`);
    case "too_large":
      return new FileError(
        "too_large",
        `${error.path} is too large for this tool: ${error.message}. Use bash for a part of it.`,
      );
    default:
      return new FileError("failed", `${error.path}: ${error.message}.`);
  }
}

async function listFiles(session: Session, path: string): Promise<readonly TreeEntry[]> {
  const entries = await session.listTree({ path });
  return entries.filter((entry) => entry.kind === "file" && !isSkipped(relativePath(path, entry.path)));
}

function isSkipped(relative: string): boolean {
  return relative.split("/").some((segment) => skippedDirectories.includes(segment));
}

async function globTree(session: Session, path: string, pattern: string, maximum: number) {
  const matches = compileGlob(pattern);
  const found = (await listFiles(session, path)).filter((entry) => matches(relativePath(path, entry.path)));
  found.sort((left, right) => right.modifiedAt - left.modifiedAt || (left.path < right.path ? -1 : 1));
  return found.slice(0, maximum).map((entry) => ({ path: entry.path, modifiedAt: entry.modifiedAt }));
}

async function grepTree(session: Session, request: GrepRequest): Promise<GrepResult> {
  const search = startSearch(request);
  const target = await session.stat({ path: request.path });
  if (target === null) throw new FileError("not_found", `${request.path} does not exist.`);
  if (target.kind === "file") return searchFiles(session, [request.path], search);
  const candidates = (await findCandidates(session, request.path, search.pattern.required)).filter((path) =>
    search.wants(path),
  );
  if (candidates.length > mostSearchedFiles) {
    throw new FileError(
      "too_large",
      `${candidates.length} files would have to be read, at most ${mostSearchedFiles} are: name a smaller directory, a glob, or a longer word in the pattern.`,
    );
  }
  return searchFiles(session, candidates, search);
}

async function findCandidates(session: Session, path: string, required: Required): Promise<string[]> {
  // One of these is in every file that matches. Letters beyond ASCII are folded differently by different programs.
  const clause = required.clauses.find(
    (literals) => !required.ignoreCase || literals.every((literal) => /^[\x20-\x7e]+$/.test(literal)),
  );
  if (clause === undefined)
    return (await listFiles(session, path))
      .filter((entry) => entry.size <= largestSearchedFile)
      .map((entry) => entry.path)
      .sort();
  const { exit, stdout } = await session.run({
    command: `${grepCommand}${required.ignoreCase ? " -i" : ""} .`,
    workingDirectory: path,
    environment: { LC_ALL: "C" },
    stdin: new TextEncoder().encode(`${clause.join("\n")}\n`),
    timeoutMs: searchTimeoutMs,
    scope: "maintenance",
  });
  if (exit.type === "timed_out")
    throw new FileError(
      "too_large",
      `Searching ${path} took more than ${searchTimeoutMs / 1000} seconds: name a smaller directory.`,
    );
  // 1: nothing found; 2: some files could not be read, the others were.
  if (exit.type !== "exited" || exit.code > 2) throw new FileError("failed", `Searching ${path} failed.`);
  const names = stdout.split("\0").filter((name) => name !== "");
  return names.map((name) => `${path === "/" ? "" : path}/${name.replace(/^\.\//, "")}`).sort();
}

/** Reads several files at once and keeps their order. */
async function searchFiles(session: Session, paths: readonly string[], search: Search): Promise<GrepResult> {
  let bytesRead = 0;
  for (let start = 0; start < paths.length; start += readersAtOnce) {
    const group = paths.slice(start, start + readersAtOnce);
    const contents = await Promise.all(group.map((path) => readForSearch(session, path)));
    for (const [index, bytes] of contents.entries()) {
      if (bytes === null) continue;
      bytesRead += bytes.length;
      const text = decodeText(bytes);
      if (text !== null && !(await search.add(group[index] ?? "", text))) return search.result();
    }
    if (bytesRead > mostSearchedBytes) {
      throw new FileError(
        "too_large",
        `More than ${mostSearchedBytes / 1024 / 1024} MiB would have to be read: name a smaller directory, a glob, or a longer word in the pattern.`,
      );
    }
  }
  return search.result();
}

/** Null for what cannot be searched: vanished, unreadable, too large. */
async function readForSearch(session: Session, path: string): Promise<Uint8Array | null> {
  try {
    return await session.readBinaryFile({ path, maximumBytes: largestSearchedFile });
  } catch (error) {
    if (error instanceof SandboxFileError) return null;
    throw error;
  }
}

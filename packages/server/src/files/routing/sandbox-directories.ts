/**
 * Directories of the sandbox, names, and several files at once. Nothing here holds for the processes inside, which may
 * change the same files at the same time.
 * @module
 */
import type { DirectoryEntry } from "@exoloop/sandbox/session";
import type { Workspace } from "../../sandboxes/workspace.ts";
import { parentPath } from "../path.ts";
import { type BatchOperations, type DirectoryOperations, FileError, type FileStatus } from "../store.ts";
import { refuseLargeBatch } from "./batch-size.ts";

type Session = Workspace["session"];

/** Runs in the sandbox; its errors become those of files. */
export type Translated = <Result>(
  use: (workspace: Workspace) => Promise<Result>,
  mayChange?: boolean,
) => Promise<Result>;

/** Entries asked after at the same time. */
const askedAtOnce = 16;
const renameTimeoutMs = 20_000;

/** The names come as variables: no text of the model is in the command. Nothing that exists is replaced. */
const renameCommand = 'mkdir -p -- "$PARENT" && exec mv -n -T -- "$FROM" "$TO"';

export function sandboxDirectories(
  translated: Translated,
  readFile: (session: Session, path: string) => Promise<Uint8Array>,
): DirectoryOperations & BatchOperations {
  return {
    stat: (path) => translated(({ session }) => statusOf(session, path)),
    list: (path, maximum) => translated(({ session }) => listDirectory(session, path, maximum)),
    makeDirectory: (path) =>
      translated(async ({ session }) => {
        const present = await session.stat({ path });
        if (present?.kind === "directory") return;
        if (present !== null) throw new FileError("path_conflict", `${path} exists and is no directory.`);
        await session.placeEntries({ entries: [{ kind: "directory", path, mode: 0o755 }] });
      }, true),
    rename: (from, to) => translated(({ session }) => rename(session, from, to), true),
    removeTree: (path) =>
      translated(async ({ session }) => {
        const entries = await session.listTree({ path });
        if (!(await session.deleteFile({ path, recursive: true })))
          throw new FileError("not_found", `${path} does not exist.`);
        return { files: entries.filter((entry) => entry.kind !== "directory").length };
      }, true),
    transform: (paths, change, _actor, movedFrom = new Map()) =>
      translated(async ({ session }) => {
        const before = new Map<string, Uint8Array>();
        let bytes = 0;
        for (const path of paths) {
          if ((await session.stat({ path })) === null) continue;
          const content = await readFile(session, path);
          before.set(path, content);
          refuseLargeBatch((bytes += content.length));
        }
        await applyInTurn(session, change(before), movedFrom);
      }, true),
  };
}

async function applyInTurn(
  session: Session,
  after: ReadonlyMap<string, Uint8Array | null>,
  movedFrom: ReadonlyMap<string, string>,
): Promise<void> {
  const done: string[] = [];
  const written = [...after].filter(([, bytes]) => bytes !== null);
  const deleted = [...after].filter(([, bytes]) => bytes === null);
  for (const [path, content] of [...written, ...deleted]) {
    try {
      if (content === null) await session.deleteFile({ path });
      else {
        const mode = (await session.stat({ path: movedFrom.get(path) ?? path }))?.mode;
        await session.writeBinaryFile({ path, content, ...(mode === undefined ? {} : { mode }) });
      }
    } catch (error) {
      if (done.length === 0) throw error;
      const reason = error instanceof Error ? error.message : "it failed";
      throw new FileError("failed", `Half done: ${done.join(", ")} changed, but ${path} did not: ${reason}.`);
    }
    done.push(path);
  }
}

async function statusOf(session: Session, path: string): Promise<FileStatus | null> {
  const found = await session.stat({ path });
  if (found === null) return null;
  const { kind, size, mode, modifiedAt } = found;
  const isFile = kind === "file";
  return {
    path,
    kind,
    size: isFile ? size : 0,
    executable: isFile && (mode & 0o111) !== 0,
    modifiedAt: modifiedAt.getTime(),
  };
}

async function listDirectory(session: Session, path: string, maximum: number): Promise<readonly FileStatus[]> {
  const entries = await session.listDirectory({ path });
  if (entries === null) throw new FileError("not_found", `${path} does not exist.`);
  const wanted = [...entries].sort((left, right) => (left.name < right.name ? -1 : 1)).slice(0, maximum);
  const found: FileStatus[] = [];
  for (let start = 0; start < wanted.length; start += askedAtOnce) {
    const group = wanted.slice(start, start + askedAtOnce);
    const statuses = await Promise.all(group.map((entry) => entryStatus(session, path, entry)));
    found.push(...statuses.filter((status) => status !== null));
  }
  return found;
}

/** Null for what has vanished. A link is told as what it is, not as what it leads to. */
async function entryStatus(session: Session, directory: string, entry: DirectoryEntry): Promise<FileStatus | null> {
  const path = `${directory === "/" ? "" : directory}/${entry.name}`;
  if (entry.kind === "file" || entry.kind === "directory") return statusOf(session, path);
  return { path, kind: "other", size: 0, executable: false, modifiedAt: 0 };
}

async function rename(session: Session, from: string, to: string): Promise<void> {
  if ((await session.stat({ path: from })) === null) throw new FileError("not_found", `${from} does not exist.`);
  if ((await session.stat({ path: to })) !== null)
    throw new FileError("path_conflict", `${to} exists already. Nothing was moved.`);
  const { exit, stderr } = await session.run({
    command: renameCommand,
    environment: { FROM: from, TO: to, PARENT: parentPath(to), LC_ALL: "C" },
    timeoutMs: renameTimeoutMs,
    scope: "maintenance",
  });
  if (exit.type === "exited" && exit.code === 0) return;
  throw new FileError("failed", `${from} was not moved to ${to}: ${stderr.trim().slice(0, 200) || exit.type}.`);
}

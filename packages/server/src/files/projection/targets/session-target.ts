/** Copies in a sandbox whose supervisor answers for files: each verb is a request or two. @module */
import { SandboxFileError } from "@exoloop/sandbox/errors";
import type { PlacedEntry, SandboxSession, TreeSurvey } from "@exoloop/sandbox/session";
import { storedRoots } from "../../mounts.ts";
import { isWithin, relativePath } from "../../path.ts";
import type { CopyChange, CopyEntry, FetchedCopy, ProjectionTarget } from "../target.ts";

const directoryMode = 0o755;
/** More than these are removed by one command. */
const fewRemovals = 16;
const removeTimeoutMs = 120_000;

/** @example const target = createSessionTarget(workspace.session); await target.fingerprint() */
export function createSessionTarget(session: SandboxSession): ProjectionTarget {
  let seen: readonly TreeSurvey[] | null = null;
  const survey = () => Promise.all(storedRoots.map((path) => session.surveyTree({ path })));
  return {
    async pull(changes) {
      seen = null;
      await removeAll(session, outermost(changes.flatMap((change) => (change.type === "remove" ? [change.path] : []))));
      const entries = changes.flatMap(entryOf);
      if (entries.length === 0) return new Map();
      const files = entries.flatMap((entry) => (entry.kind === "file" ? [entry.path] : []));
      if (files.length <= fewRemovals) for (const path of files) await makeRoom(session, path);
      await session.placeEntries({ entries });
      if (files.length === 0) return new Map();
      const laid = await session.inspectEntries({ paths: files });
      return new Map(laid.flatMap((entry) => (entry === null ? [] : [[entry.path, entry.fingerprint]])));
    },
    async fingerprint() {
      seen = await survey();
      return seen.map((tree) => tree.fingerprint).join(" ");
    },
    async list(paths) {
      if (paths !== undefined) {
        const entries = paths.length === 0 ? [] : await session.inspectEntries({ paths });
        return entries.filter((entry) => entry !== null);
      }
      const trees = seen ?? (await survey());
      seen = null;
      return trees.flatMap((tree): readonly CopyEntry[] => tree.entries());
    },
    fetch: (paths, maximumBytes) => fetchCopies(session, paths, maximumBytes),
  };
}

function entryOf(change: CopyChange): PlacedEntry[] {
  switch (change.type) {
    case "file":
      return [{ kind: "file", path: change.path, mode: change.mode, content: change.bytes }];
    case "directory":
      return [{ kind: "directory", path: change.path, mode: directoryMode }];
    case "link":
      return [{ kind: "symlink", path: change.path, target: change.target }];
    case "remove":
      return [];
  }
}

/** What lies below another of them goes with it. */
export function outermost(paths: readonly string[]): string[] {
  const kept: string[] = [];
  for (const path of [...paths].sort()) {
    const last = kept.at(-1);
    if (last === undefined || !isWithin(last, path)) kept.push(path);
  }
  return kept;
}

async function removeAll(session: SandboxSession, paths: readonly string[]): Promise<void> {
  if (paths.length <= fewRemovals) {
    for (const path of paths) await removeOne(session, path);
    return;
  }
  for (const root of storedRoots) {
    const names = paths.filter((path) => isWithin(root, path)).map((path) => `./${relativePath(root, path)}\0`);
    if (names.length === 0) continue;
    const { exit, stderr } = await session.run({
      command: "exec xargs -0 rm -rf --",
      workingDirectory: root,
      stdin: Buffer.from(names.join("")),
      timeoutMs: removeTimeoutMs,
      scope: "maintenance",
    });
    if (exit.type !== "exited" || exit.code !== 0)
      throw new SandboxFileError("failed", root, `copies below ${root} could not be removed: ${stderr.slice(0, 500)}`);
  }
}

async function removeOne(session: SandboxSession, path: string): Promise<void> {
  try {
    await session.deleteFile({ path, recursive: true });
  } catch (error) {
    // A file stands where a directory above it was: nothing is there.
    if (!(error instanceof SandboxFileError) || error.code !== "not_directory") throw error;
  }
}

/**
 * Before a file is placed where one is. To rename over a file makes ext4 write the new one to the disk at once, for which
 * a busy disk lets us wait; a copy of what Postgres holds need not survive anything.
 */
async function makeRoom(session: SandboxSession, path: string): Promise<void> {
  try {
    await session.deleteFile({ path });
  } catch (error) {
    // Placing says what is wrong there.
    if (!(error instanceof SandboxFileError)) throw error;
  }
}

async function fetchCopies(
  session: SandboxSession,
  paths: readonly string[],
  maximumBytes: number,
): Promise<FetchedCopy[]> {
  if (paths.length === 0) return [];
  const contents = new Map<string, Uint8Array>();
  let pieces: Uint8Array[] = [];
  let [path, size] = ["", 0];
  for await (const part of session.fetchFiles({ paths })) {
    if (part.type === "file") [path, size, pieces] = [part.path, 0, []];
    if (part.type === "piece") {
      const { piece } = part;
      size += piece instanceof Uint8Array ? piece.length : piece.holeBytes;
      // A file that has grown since it was listed is read to its end, and not kept.
      if (size <= maximumBytes) pieces.push(piece instanceof Uint8Array ? piece : new Uint8Array(piece.holeBytes));
    }
    if (part.type === "end" && size <= maximumBytes) contents.set(path, Buffer.concat(pieces));
  }
  const entries = await session.inspectEntries({ paths });
  return paths.map((asked, index) => ({
    path: asked,
    bytes: contents.get(asked) ?? null,
    fingerprint: entries[index]?.fingerprint ?? "",
  }));
}

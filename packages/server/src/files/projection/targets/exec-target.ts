/**
 * Copies in a sandbox that can only run commands: `find`, `stat`, `tar`, `xargs` and `rm`, those of GNU or of BusyBox.
 * What a listing says is not separated by anything that a name could hold.
 * @module
 */
import { createHash, randomBytes } from "node:crypto";
import { SandboxFileError } from "@exoloop/sandbox/errors";
import type { SandboxSession } from "@exoloop/sandbox/session";
import { readArchive, writeArchive } from "../../archive.ts";
import { storedRoots } from "../../mounts.ts";
import type { CopyChange, CopyEntry, FetchedCopy, ProjectionTarget } from "../target.ts";
import { listCommand, namedCommand, parseListing, withoutBlur } from "./exec-listing.ts";
import { outermost } from "./session-target.ts";

/** Commands, and nothing else of a session. */
export type Executor = Pick<SandboxSession, "spawn">;

const timeoutMs = 120_000;
/** Of what one command may print. */
const mostOutputBytes = 256 * 1024 * 1024;
const mostEntries = 200_000;

/**
 * Copies are known by inode, size, mode and the time of the last change. Where a sandbox tells that time in whole
 * seconds, a copy that changed within the last two is read again each time.
 * @example const target = createExecTarget(session)
 */
export function createExecTarget(session: Executor): ProjectionTarget {
  /** As last listed: each path's fingerprint. */
  const seen = new Map<string, string>();
  const list = async (paths?: readonly string[]): Promise<readonly CopyEntry[]> => {
    if (paths?.length === 0) return [];
    const mark = randomBytes(12).toString("hex");
    const command = paths === undefined ? listCommand(mark) : namedCommand(mark);
    const stdin = paths === undefined ? undefined : names(paths);
    const entries = parseListing(await execute(session, command, stdin), mark);
    if (entries.length > mostEntries)
      throw new SandboxFileError("too_large", storedRoots[0], `there are more than ${mostEntries} entries`);
    for (const { path, fingerprint } of entries) seen.set(path, fingerprint);
    return entries;
  };
  return {
    list,
    async pull(changes) {
      const removals = outermost(changes.flatMap((change) => (change.type === "remove" ? [change.path] : [])));
      if (removals.length > 0) await execute(session, "exec xargs -0 rm -rf --", names(removals));
      const laid = changes.flatMap((change) => (change.type === "remove" ? [] : [change]));
      if (laid.length === 0) return new Map();
      await execute(
        session,
        "umask 022; cd / && exec tar -xmf -",
        Buffer.concat([...writeArchive(laid.map(archived))]),
      );
      const entries = await list(laid.flatMap(({ type, path }) => (type === "file" ? [path] : [])));
      return new Map(entries.map(({ path, fingerprint }) => [path, fingerprint]));
    },
    async fingerprint() {
      const entries = [...(await list())].sort((left, right) => (left.path < right.path ? -1 : 1));
      const hash = createHash("sha1");
      for (const { path, fingerprint, linkTarget } of entries) hash.update(`${path}\0${fingerprint}\0${linkTarget}\0`);
      return hash.digest("base64url");
    },
    async fetch(paths, maximumBytes) {
      // A line feed parts names where tar knows no better; no stored file has one.
      const asked = paths.filter((path) => !path.includes("\n"));
      if (asked.length === 0) return paths.map((path) => ({ path, bytes: null, fingerprint: "" }));
      const archive = await execute(session, fetchCommand, names(asked.map((path) => path.slice(1))));
      const files = new Map(readFiles(archive).map(({ name, bytes }) => [`/${name}`, bytes]));
      const before = new Map(asked.map((path) => [path, seen.get(path) ?? ""]));
      const fingerprints = new Map(
        (await list(asked)).map(({ path, fingerprint }) => [path, sameOr(before.get(path) ?? "", fingerprint)]),
      );
      return paths.map((path): FetchedCopy => {
        const bytes = files.get(path) ?? null;
        const fits = bytes !== null && bytes.length <= maximumBytes;
        return { path, bytes: fits ? bytes : null, fingerprint: fingerprints.get(path) ?? "" };
      });
    },
  };
}

/** What was listed before, where it is the same copy as far as its time tells. */
function sameOr(before: string, now: string): string {
  return withoutBlur(before) === withoutBlur(now) ? before : now;
}

function names(paths: readonly string[]): Buffer {
  return Buffer.from(paths.map((path) => `${path}\0`).join(""));
}

function archived(change: Exclude<CopyChange, { type: "remove" }>) {
  return change.type === "directory" ? { ...change, mode: 0o755 } : change;
}

/** What is missing or cannot be read is left out: tar says so by its exit, which is not asked. */
const fetchCommand = `cd / || exit 1
if tar --version 2>/dev/null | grep -q GNU; then
  tar --null --no-unquote --no-recursion --hard-dereference -cf - -T - 2>/dev/null || true
else
  tr '\\0' '\\n' | while IFS= read -r name; do if [ -f "$name" ] && [ ! -L "$name" ] && [ -r "$name" ]; then printf '%s\\n' "$name"; fi; done | tar -cf - -T - 2>/dev/null || true
fi`;

function readFiles(archive: Buffer) {
  try {
    return readArchive(archive);
  } catch (error) {
    throw new SandboxFileError("failed", storedRoots[0], error instanceof Error ? error.message : String(error));
  }
}

/** @throws SandboxFileError when it does not end well */
async function execute(session: Executor, command: string, stdin?: Uint8Array): Promise<Buffer> {
  const process = await session.spawn({
    command,
    workingDirectory: "/",
    scope: "maintenance",
    timeoutMs,
    ...(stdin === undefined ? {} : { stdin }),
  });
  const parts: Uint8Array[] = [];
  let [size, complaint] = [0, ""];
  for await (const { stream, bytes, missingBytes = 0 } of process.output) {
    size += bytes.length;
    if (missingBytes > 0 || size > mostOutputBytes) {
      await process.kill();
      throw new SandboxFileError("too_large", "/", "a command of the projection printed more than is taken");
    }
    if (stream === "stdout") parts.push(bytes);
    else complaint = `${complaint}${Buffer.from(bytes).toString()}`.slice(0, 500);
  }
  const exit = await process.wait();
  if (exit.type !== "exited" || exit.code !== 0)
    throw new SandboxFileError(
      "failed",
      "/",
      `a command of the projection failed: ${complaint || JSON.stringify(exit)}`,
    );
  return Buffer.concat(parts);
}

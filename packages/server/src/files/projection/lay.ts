/**
 * Writing stored files into a sandbox. Every path comes from a row of the database, where it was checked when it was
 * stored; it is resolved inside the sandbox.
 * @module
 */
import { SandboxFileError } from "@exoloop/sandbox/errors";
import type { Workspace } from "../../sandboxes/workspace.ts";
import { writeArchive } from "../archive.ts";
import { isWithin, relativePath } from "../path.ts";
import { type StoredMount, storedRoots } from "../mounts.ts";
import type { StoredFile } from "../postgres/rows.ts";
import type { StoredFiles } from "../postgres/stored-files.ts";

/** More files than this go as one archive. */
const fewFiles = 16;
/** Bytes of contents held in memory at once. */
const batchBytes = 16 * 1024 * 1024;
const unpackTimeoutMs = 120_000;
const makeTimeoutMs = 10_000;

export interface FileToLay {
  readonly head: StoredFile;
  readonly readOnly: boolean;
}

type Session = Workspace["session"];

/** A mount that holds no file is there all the same: the model is told of it, and writes into it. */
export async function makeMountDirectories(session: Session, mounts: readonly StoredMount[]): Promise<void> {
  for (const root of storedRoots) {
    const below = mounts.filter(({ prefix }) => prefix !== root && isWithin(root, prefix));
    if (below.length === 0) continue;
    const names = below.map(({ prefix }) => relativePath(root, prefix));
    await session.run({
      // Names of ours: lower-case letters and slashes.
      command: `umask 022; exec mkdir -p -- ${names.join(" ")}`,
      workingDirectory: root,
      timeoutMs: makeTimeoutMs,
      scope: "maintenance",
    });
  }
}

/** @throws SandboxFileError when the sandbox does not take them */
export async function layFiles(
  session: Session,
  files: StoredFiles,
  organizationId: string,
  wanted: readonly FileToLay[],
): Promise<void> {
  for (const batch of batches(wanted)) {
    const contents = await files.contents(organizationId, [...new Set(batch.map((file) => file.head.sha256))]);
    const laid = batch.map(({ head, readOnly }) => {
      const bytes = contents.get(head.sha256);
      if (bytes === undefined) throw new Error(`the content of ${head.path} version ${head.version} is missing`);
      return { path: head.path, bytes, mode: modeOf(head.executable, readOnly) };
    });
    if (laid.length <= fewFiles) {
      for (const { path, bytes, mode } of laid) await session.writeBinaryFile({ path, content: bytes, mode });
      continue;
    }
    for (const root of storedRoots) {
      const below = laid.filter((file) => isWithin(root, file.path));
      if (below.length > 0)
        await unpack(
          session,
          root,
          below.map((file) => ({ ...file, path: `/${relativePath(root, file.path)}` })),
        );
    }
  }
}

function modeOf(executable: boolean, readOnly: boolean): number {
  if (readOnly) return executable ? 0o555 : 0o444;
  return executable ? 0o755 : 0o644;
}

function* batches(wanted: readonly FileToLay[]): Generator<readonly FileToLay[]> {
  let batch: FileToLay[] = [];
  let bytes = 0;
  for (const file of wanted) {
    if (batch.length > 0 && bytes + file.head.size > batchBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.head.size;
  }
  if (batch.length > 0) yield batch;
}

async function unpack(session: Session, root: string, files: Parameters<typeof writeArchive>[0]): Promise<void> {
  const { exit, stderr } = await session.run({
    command: "umask 022; exec tar -xf - --no-same-owner --unlink-first",
    workingDirectory: root,
    stdin: Buffer.concat([...writeArchive(files)]),
    timeoutMs: unpackTimeoutMs,
    scope: "maintenance",
  });
  if (exit.type !== "exited" || exit.code !== 0) {
    throw new SandboxFileError("failed", root, `stored files could not be laid into ${root}: ${stderr.slice(0, 500)}`);
  }
}

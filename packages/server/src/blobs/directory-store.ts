/** Blobs in a directory. A blob appears whole or not at all, also after a power loss. @module */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  BlobError,
  type BlobStore,
  isSha256,
  type ListedBlob,
  requireBlobKey,
  requireBlobSize,
  requireContent,
  sha256Of,
} from "./store.ts";

/** A file in `incoming` that is older was left by a process that died. */
const abandonedAfterMs = 3_600_000;
/** At once. */
const comparedBytes = 1024 ** 2;

/**
 * `<root>/<organization>/<first two digits>/<sha256>`. All of one store is on one filesystem.
 * @example createDirectoryBlobStore("/var/lib/exoloop/blobs")
 */
export function createDirectoryBlobStore(root: string): BlobStore {
  const incoming = join(root, "incoming");
  const folderOf = (organizationId: string, sha256: string) => join(root, organizationId, sha256.slice(0, 2));
  const pathOf = (organizationId: string, sha256: string): string => {
    requireBlobKey(organizationId, sha256);
    return join(folderOf(organizationId, sha256), sha256);
  };
  return {
    async put(organizationId, content) {
      requireBlobSize(content.length);
      const sha256 = sha256Of(content);
      const path = pathOf(organizationId, sha256);
      if (await holds(path, content)) return { sha256, size: content.length, existed: true };
      const temporary = join(incoming, randomUUID());
      try {
        await writeDurably(incoming, temporary, content);
        await moveDurably(temporary, folderOf(organizationId, sha256), path);
      } finally {
        await rm(temporary, { force: true });
      }
      return { sha256, size: content.length, existed: false };
    },
    async get(organizationId, sha256) {
      const path = pathOf(organizationId, sha256);
      const size = await sizeOf(path);
      if (size === null) throw new BlobError("missing", `blob ${sha256} is missing from the store`);
      requireBlobSize(size);
      const content = await readFile(path);
      requireContent(sha256, content);
      return content;
    },
    has: async (organizationId, sha256) => (await sizeOf(pathOf(organizationId, sha256))) !== null,
    delete: (organizationId, sha256) => rm(pathOf(organizationId, sha256), { force: true }),
    async *list(organizationId) {
      requireBlobKey(organizationId);
      await removeAbandoned(incoming);
      const home = join(root, organizationId);
      for (const folder of await namesIn(home)) yield* listFolder(join(home, folder));
    },
  };
}

/** Content is compared: a disk may lose bytes and keep the size. */
async function holds(path: string, content: Uint8Array): Promise<boolean> {
  const file = await open(path, "r").catch(absentAsNull);
  if (file === null) return false;
  try {
    if ((await file.stat()).size !== content.length) return false;
    const piece = Buffer.allocUnsafe(Math.min(content.length, comparedBytes));
    for (let at = 0; at < content.length;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, at);
      if (bytesRead === 0 || piece.compare(content, at, at + bytesRead, 0, bytesRead) !== 0) return false;
      at += bytesRead;
    }
    return true;
  } finally {
    await file.close();
  }
}

async function writeDurably(incoming: string, path: string, content: Uint8Array): Promise<void> {
  const open_ = () => open(path, "wx", 0o600);
  const file = await open_().catch(async (error: unknown) => {
    if (!isAbsent(error)) throw error;
    await mkdir(incoming, { recursive: true, mode: 0o700 });
    return open_();
  });
  try {
    await file.writeFile(content);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** Without the second sync a power loss could take the name, and with it a blob that a row already names. */
async function moveDurably(from: string, folder: string, path: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  await rename(from, path);
  await syncDirectory(folder);
  // `made` is the topmost directory that was made: its own name, and those below it, are new.
  for (let name = folder; made !== undefined && name.length >= made.length; name = join(name, "..")) {
    await syncDirectory(join(name, ".."));
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function* listFolder(folder: string): AsyncIterable<ListedBlob> {
  for (const name of (await namesIn(folder)).filter(isSha256)) {
    const found = await stat(join(folder, name)).catch(absentAsNull);
    if (found !== null) yield { sha256: name, size: found.size, storedAt: found.mtime };
  }
}

async function removeAbandoned(incoming: string): Promise<void> {
  for (const name of await namesIn(incoming)) {
    const found = await stat(join(incoming, name)).catch(absentAsNull);
    if (found !== null && found.mtimeMs < Date.now() - abandonedAfterMs)
      await rm(join(incoming, name), { force: true });
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(absentAsNull)) ?? [];
}

async function sizeOf(path: string): Promise<number | null> {
  return (await stat(path).catch(absentAsNull))?.size ?? null;
}

function absentAsNull(error: unknown): null {
  if (isAbsent(error)) return null;
  throw error;
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

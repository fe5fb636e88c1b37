/**
 * Skills as zip archives (APPNOTE.TXT 6.3). An archive comes from strangers: its directory is read first and held to
 * bounds before anything is unpacked, sizes are counted again while unpacking, and nothing is ever written to a disk.
 * @module
 */
import { crc32 } from "node:zlib";
import { type Entry, fromBufferPromise, type ZipFile as ZipReader } from "yauzl";
import { ZipFile } from "yazl";
import { largestBinaryFile, largestSkill, mostSkillFiles, type SkillFile } from "../format/skill-files.ts";
import { type SkillSource, SkillSourceError, unwrap } from "./skill-source.ts";

/** Bytes. */
export const largestArchive = 32 * 1024 * 1024;
/** With directories. */
const mostEntries = 2 * mostSkillFiles;
/** Unpacked bytes for each packed one; texts of programs reach 10, a bomb 1,000. */
const highestRatio = 200;
/** Bytes: below, any ratio is harmless. */
const judgedByRatio = 1024 * 1024;

const fileType = { mask: 0o170000, regular: 0o100000, directory: 0o040000 } as const;
const unixHost = 3;

/**
 * @throws SkillSourceError
 * @example readSkill(…unzipSkill(await readFile("review.zip")).files)
 */
export async function unzipSkill(bytes: Uint8Array): Promise<SkillSource> {
  if (bytes.length > largestArchive)
    throw new SkillSourceError(`The zip has ${bytes.length} bytes; at most ${largestArchive} are taken.`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = await fromBufferPromise(buffer, {
    lazyEntries: true,
    autoClose: false,
    strictFileNames: true,
    validateEntrySizes: true,
  }).catch((error: unknown) => {
    throw unreadable(error);
  });
  try {
    const files: SkillFile[] = [];
    for (const entry of await readDirectory(reader)) {
      files.push({ path: entry.fileName, bytes: await unpack(reader, entry), executable: isExecutable(entry) });
    }
    return unwrap(files);
  } finally {
    reader.close();
  }
}

function unreadable(error: unknown): SkillSourceError {
  const reason = error instanceof Error ? error.message.slice(0, 200) : "unknown";
  return new SkillSourceError(`The zip cannot be read: ${reason}.`);
}

/** The regular files, checked. */
async function readDirectory(reader: ZipReader): Promise<readonly Entry[]> {
  if (reader.entryCount > mostEntries)
    throw new SkillSourceError(`The zip has ${reader.entryCount} entries; at most ${mostEntries} are taken.`);
  const entries: Entry[] = [];
  let total = 0;
  try {
    for await (const entry of reader.eachEntry()) {
      if (!isFile(entry)) continue;
      total += entry.uncompressedSize;
      checkEntry(entry, total);
      entries.push(entry);
    }
  } catch (error) {
    throw error instanceof SkillSourceError ? error : unreadable(error);
  }
  return entries;
}

/** The mode that a UNIX system has written; zero where none has. */
function modeOf(entry: Entry): number {
  return entry.versionMadeBy >> 8 === unixHost ? entry.externalFileAttributes >>> 16 : 0;
}

function isExecutable(entry: Entry): boolean {
  return (modeOf(entry) & 0o111) !== 0;
}

/** False for a directory. @throws SkillSourceError for what is neither */
function isFile(entry: Entry): boolean {
  if (entry.fileName.endsWith("/")) return false;
  const type = modeOf(entry) & fileType.mask;
  if (type === fileType.directory) return false;
  if (type === 0 || type === fileType.regular) return true;
  throw new SkillSourceError(
    `${shown(entry)} in the zip is a symbolic link or another special file: a skill has regular files only.`,
  );
}

function checkEntry(entry: Entry, total: number): void {
  const { uncompressedSize: size, compressedSize: packed } = entry;
  if (entry.isEncrypted()) throw new SkillSourceError(`${shown(entry)} in the zip is encrypted.`);
  if (size > largestBinaryFile)
    throw new SkillSourceError(`${shown(entry)} in the zip has ${size} bytes; at most ${largestBinaryFile} are taken.`);
  if (size > judgedByRatio && size > packed * highestRatio)
    throw new SkillSourceError(
      `${shown(entry)} in the zip unpacks to more than ${highestRatio} times its packed size, as a bomb does.`,
    );
  if (total > largestSkill)
    throw new SkillSourceError(`The zip unpacks to more than ${largestSkill} bytes, the most that a skill may have.`);
}

function shown({ fileName }: Entry): string {
  return JSON.stringify(fileName.length > 200 ? `${fileName.slice(0, 200)}…` : fileName);
}

/** @throws SkillSourceError also where the directory has lied about size or content */
async function unpack(reader: ZipReader, entry: Entry): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of await reader.openReadStreamPromise(entry)) {
      const bytes = chunk as Buffer;
      size += bytes.length;
      if (size > entry.uncompressedSize) throw new Error("it unpacks to more than it says");
      chunks.push(bytes);
    }
  } catch (error) {
    throw unreadable(error);
  }
  const bytes = Buffer.concat(chunks);
  if (crc32(bytes) !== entry.crc32) throw new SkillSourceError(`The zip is damaged: ${shown(entry)} has another sum.`);
  return bytes;
}

/** The earliest time that a zip can say: the same skill is always the same archive. */
const noTime = new Date("1980-01-01T00:00:00Z");

/**
 * A zip with one directory, the skill's, at its top.
 * @example await zipSkill("review", files)
 */
export async function zipSkill(name: string, files: readonly SkillFile[]): Promise<Uint8Array> {
  const archive = new ZipFile();
  for (const { path, bytes, executable } of [...files].sort((left, right) => (left.path < right.path ? -1 : 1))) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const mode = fileType.regular | (executable === true ? 0o755 : 0o644);
    archive.addBuffer(buffer, `${name}/${path}`, { mtime: noTime, mode, forceDosTimestamp: true });
  }
  archive.end();
  const chunks: Buffer[] = [];
  for await (const chunk of archive.outputStream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

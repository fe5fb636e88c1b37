/**
 * A workspace becomes a manifest. What the sandbox's fingerprints call unchanged is not read; what is read is looked at
 * again afterwards, so that a file that changed under it is caught, also where the workload could not be stopped. Entries
 * come some at a time: what is held is the manifest alone.
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { getHeapStatistics } from "node:v8";
import type { SandboxSession, TreeEntry } from "@exoloop/sandbox/session";
import type { BlobStore, StoredBlob } from "../../blobs/store.ts";
import { inTurns, sortedByPath } from "./in-turns.ts";
import {
  type Chunk,
  isHole,
  type Manifest,
  type ManifestDirectory,
  type ManifestFile,
  type ManifestLink,
  maximumEntries,
  maximumPieces,
  weightOf,
  weightOfPieces,
} from "./manifest.ts";
import type { PackPlaces } from "./pack-places.ts";
import { createPackWriter, type PackWriter } from "./pack-writer.ts";
import { stalePacks } from "./stale-packs.ts";
import { toRelative } from "./tree.ts";

export interface CaptureRequest {
  readonly session: SandboxSession;
  /** Where the session's fingerprints hold. */
  readonly sandboxId: string;
  /** The directory, an absolute path inside. */
  readonly root: string;
  /** What was captured or restored before: its chunks are not stored again. */
  readonly previous: Manifest | null;
  readonly blobs: BlobStore;
  readonly organizationId: string;
  /** By their weight. Default {@link maximumEntries}. */
  readonly entriesAtMost?: number;
  /** For packs on their way into the store. Default: two of its own. */
  readonly places?: PackPlaces;
  /** Is waited for, once, before more than {@link manyEntries} are held. */
  readonly beforeMany?: () => Promise<void>;
}

export interface Captured {
  readonly manifest: Manifest;
  /** The packs that were stored for it. */
  readonly stored: readonly StoredBlob[];
  /** Files whose content was read. */
  readonly filesRead: number;
  /** Files that changed whenever they were read: what was read last is in the manifest. */
  readonly unsettled: number;
  /** Of what is left out, entries and pieces of files beyond the most: how many entries, and the first of them. */
  readonly beyond: { readonly count: number; readonly first: string | null };
}

/** A workspace that weighs more takes a turn of its own: its manifest is about 25 MB. */
export const manyEntries = 50_000;
/** A first snapshot takes 1,200 bytes of memory for each while it is made, its manifest 500: less than half of the heap. */
export const entriesForHeap = Math.min(maximumEntries, Math.floor(getHeapStatistics().heap_size_limit / 2_800));
/** After the last one, what still changes is taken as it was read. */
const scansAtMost = 4;
/**
 * A kernel counts a change's time in ticks of up to 10 ms: two changes within one have one fingerprint. Nobody may change
 * the workspace within the tick in which it was looked at, so a capture takes no less.
 */
const longestTickMs = 12;
/** With the workspace's own, less than the 4,096 that a path may have. */
const longestPathBytes = 4000;

export async function captureWorkspace(request: CaptureRequest): Promise<Captured> {
  const { sandboxId } = request;
  const tick = delay(longestTickMs);
  const known = await knownChunks(request.previous);
  const unchanged = await unchangedFiles(request, known);
  const room = createRoom(request);
  const writer = createPackWriter({ ...request, known });
  const contents: Contents = { known, tooManyPieces: new Set(), unchanged, read: new Map() };
  let found = await scanOnce(request, contents, room);
  let filesRead = 0;
  for (let scan = 1; found.unread.length > 0 && scan < scansAtMost; scan += 1) {
    filesRead += found.unread.length;
    // Not under the scan, which opens closed directories for as long as it is in them.
    await readFiles(request, found, writer, contents, room);
    found = await scanOnce(request, contents, room);
  }
  const stored = await writer.finish();
  const [directories, links, files] = [
    await sortedByPath(found.directories),
    await sortedByPath(found.links),
    await sortedByPath(found.files),
  ];
  const { leftOut, beyond, unread } = found;
  await tick;
  const manifest = { sandboxId, directories, links, files, leftOut };
  return { manifest, stored, filesRead, unsettled: unread.length, beyond };
}

/** Where the content of files is known from, by path. */
interface Contents {
  /** Chunks that are not stored again, by checksum. */
  readonly known: Map<string, Chunk>;
  /** Of more pieces than a manifest may name, or than there is room for. */
  readonly tooManyPieces: Set<string>;
  /** As the previous manifest tells it. */
  readonly unchanged: ReadonlyMap<string, ManifestFile>;
  /** With the fingerprint of before it was read. */
  readonly read: Map<string, ManifestFile>;
}

/** What a capture may hold. */
interface Room {
  readonly most: number;
  /** Waits where it is much. */
  grow(weight: number): Promise<void>;
}

function createRoom({ entriesAtMost = maximumEntries, beforeMany }: CaptureRequest): Room {
  let waited: Promise<void> | undefined;
  return {
    most: entriesAtMost,
    async grow(weight) {
      if (weight > manyEntries) await (waited ??= beforeMany?.() ?? Promise.resolve());
    },
  };
}

interface Found {
  readonly directories: ManifestDirectory[];
  readonly links: ManifestLink[];
  readonly files: ManifestFile[];
  /** Files that are not as they are known: as the scan tells them, without content. */
  readonly unread: ManifestFile[];
  /** Of all of these. What is in a directory weighs no less than it: none is there without its directory. */
  weight: number;
  leftOut: number;
  beyond: { count: number; first: string | null };
}

async function scanOnce({ session, root }: CaptureRequest, contents: Contents, room: Room): Promise<Found> {
  const beyond = { count: 0, first: null };
  const found: Found = { directories: [], links: [], files: [], unread: [], weight: 0, leftOut: 0, beyond };
  for await (const some of session.scanTree({ path: root })) {
    // What these few weigh beyond their number is little.
    await room.grow(found.weight + some.length);
    for (const entry of some) {
      const path = toRelative(root, entry.path);
      if (!isStorable(path, entry)) {
        found.leftOut += 1;
        continue;
      }
      const file = entry.kind === "file" ? fileOf(contents, path, entry) : null;
      const weight = weightOf(file ?? { path, target: entry.linkTarget ?? "" });
      if (found.weight + weight <= room.most && !contents.tooManyPieces.has(path)) {
        found.weight += weight;
        add(found, path, entry, file);
      } else {
        found.leftOut += 1;
        found.beyond = { count: found.beyond.count + 1, first: found.beyond.first ?? path };
      }
    }
  }
  return found;
}

function add(found: Found, path: string, entry: TreeEntry, file: ManifestFile | null): void {
  const { kind, mode, linkTarget, size, fingerprint } = entry;
  if (kind === "directory") found.directories.push({ path, mode });
  else if (linkTarget !== null) found.links.push({ path, target: linkTarget });
  else if (kind === "file") {
    if (file === null) found.leftOut += 1;
    else found.files.push(file);
    if (file?.fingerprint === fingerprint) return;
    found.unread.push({ path, mode, modifiedAt: toTime(entry.modifiedAt), size, fingerprint, pieces: [] });
  } else found.leftOut += 1;
}

/** With the entry's fingerprint where its content is known, null where it has changed. Null: nothing is known of it. */
function fileOf({ unchanged, read }: Contents, path: string, entry: TreeEntry): ManifestFile | null {
  const before = unchanged.get(path);
  const file = before?.fingerprint === entry.fingerprint ? before : read.get(path);
  if (file === undefined) return null;
  const { mode, fingerprint } = entry;
  const modifiedAt = toTime(entry.modifiedAt);
  if (file.fingerprint === fingerprint && file.mode === mode && file.modifiedAt === modifiedAt) return file;
  return { ...file, mode, modifiedAt, fingerprint: isAsRead(entry, file) ? fingerprint : null };
}

/**
 * Whether a file is still the one that was read. To read what its owner may not, the sandbox changes its mode and back,
 * and with it the fingerprint.
 */
function isAsRead(entry: TreeEntry, file: ManifestFile): boolean {
  if (entry.fingerprint === file.fingerprint) return true;
  const { size, mode, modifiedAt } = file;
  return (mode & 0o400) === 0 && entry.size === size && entry.mode === mode && toTime(entry.modifiedAt) === modifiedAt;
}

/**
 * A name that is no UTF-8 comes with replacement characters, and two of them may be one then; a path may be longer than
 * any that can be opened, a file longer than numbers hold. What is in such a directory is left out with it.
 */
function isStorable(path: string, { size, linkTarget }: TreeEntry): boolean {
  const readable = !path.includes("\uFFFD") && !(linkTarget ?? "").includes("\uFFFD");
  return readable && Buffer.byteLength(path) <= longestPathBytes && Number.isSafeInteger(size);
}

/** Whole milliseconds from 1970 to what a Date holds. */
function toTime(milliseconds: number): number {
  return Math.min(Math.max(Math.floor(milliseconds), 0), 8_640_000_000_000_000);
}

/** Chunks that may be used again, by checksum. */
async function knownChunks(previous: Manifest | null): Promise<Map<string, Chunk>> {
  const known = new Map<string, Chunk>();
  if (previous === null) return known;
  const stale = await stalePacks(previous);
  for await (const some of inTurns(previous.files)) {
    for (const { pieces } of some) {
      for (const piece of pieces) if (!isHole(piece) && !stale.has(piece.pack.sha256)) known.set(piece.sha256, piece);
    }
  }
  return known;
}

/** Files that need not be read while their fingerprint is the same. Those of a pack that is given up are. */
async function unchangedFiles(
  { previous, sandboxId }: CaptureRequest,
  known: ReadonlyMap<string, Chunk>,
): Promise<ReadonlyMap<string, ManifestFile>> {
  const unchanged = new Map<string, ManifestFile>();
  if (previous?.sandboxId !== sandboxId) return unchanged;
  for await (const some of inTurns(previous.files)) {
    for (const file of some) {
      if (file.pieces.every((piece) => isHole(piece) || known.has(piece.sha256))) unchanged.set(file.path, file);
    }
  }
  return unchanged;
}

async function readFiles(
  { session, root }: CaptureRequest,
  found: Found,
  writer: PackWriter,
  contents: Contents,
  room: Room,
): Promise<void> {
  let { weight } = found;
  const keep = (file: ManifestFile): void => {
    const more = weightOfPieces(file.pieces.length);
    if (file.pieces.length > maximumPieces || weight + more > room.most) return leaveOut(contents, file);
    weight += more;
    contents.read.set(file.path, file);
  };
  for await (const some of inTurns(found.unread)) {
    const byPath = new Map(some.map((file) => [`${root}/${file.path}`, file]));
    let current: ManifestFile | undefined;
    for await (const part of session.fetchFiles({ paths: [...byPath.keys()] })) {
      if (part.type === "file") {
        current = byPath.get(part.path);
      } else if (part.type === "refused") {
        // Gone, or something else now: the next scan tells what there is.
        current = undefined;
        writer.dropFile();
      } else if (part.type === "piece") {
        if (part.piece instanceof Uint8Array) await writer.write(part.piece);
        else writer.hole(part.piece.holeBytes);
      } else {
        const pieces = writer.endFile();
        if (current !== undefined) keep({ ...current, size: part.size, pieces });
        current = undefined;
        if (weight > manyEntries) await room.grow(weight);
      }
    }
  }
}

/** Its chunks may be as many as those of all that are kept. */
function leaveOut({ known, tooManyPieces }: Contents, { path, pieces }: ManifestFile): void {
  tooManyPieces.add(path);
  for (const piece of pieces) if (!isHole(piece)) known.delete(piece.sha256);
}

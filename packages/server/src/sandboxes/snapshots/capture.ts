/**
 * A workspace becomes a manifest. What the sandbox's fingerprints call unchanged is not read; what is read is looked at
 * again afterwards, so that a file that changed under it is caught, also where the workload could not be stopped.
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import type { SandboxSession, TreeEntry } from "@exoloop/sandbox/session";
import type { BlobStore, StoredBlob } from "../../blobs/store.ts";
import { type Chunk, chunksOf, isHole, type Manifest, type ManifestFile } from "./manifest.ts";
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
}

export interface Captured {
  readonly manifest: Manifest;
  /** The packs that were stored for it. */
  readonly stored: readonly StoredBlob[];
  /** Files whose content was read. */
  readonly filesRead: number;
  /** Files that changed whenever they were read: what was read last is in the manifest. */
  readonly unsettled: number;
}

/** After the last one, what still changes is taken as it was read. */
const scansAtMost = 4;
/**
 * A kernel counts a change's time in ticks of up to 10 ms: two changes within one have one fingerprint. Nobody may change
 * the workspace within the tick in which it was looked at, so a capture takes no less.
 */
const longestTickMs = 12;
/** With the workspace's own, less than the 4,096 that a path may have. */
const longestPathBytes = 4000;

interface ReadFile {
  /** At the scan before it was read. */
  readonly entry: TreeEntry;
  readonly size: number;
  readonly pieces: ManifestFile["pieces"];
}

type FileContent = Pick<ManifestFile, "fingerprint" | "size" | "pieces">;

/**
 * Whether a file is still the one that was read. To read what its owner may not, the sandbox changes its mode and back,
 * and with it the fingerprint.
 */
function isAsRead(entry: TreeEntry, before: TreeEntry): boolean {
  if (entry.fingerprint === before.fingerprint) return true;
  const { size, mode, modifiedAt } = before;
  return (mode & 0o400) === 0 && entry.size === size && entry.mode === mode && entry.modifiedAt === modifiedAt;
}

export async function captureWorkspace(request: CaptureRequest): Promise<Captured> {
  const { session, sandboxId, root, previous, blobs, organizationId } = request;
  const tick = delay(longestTickMs);
  const stale = previous === null ? new Set<string>() : stalePacks(previous);
  const known = knownChunks(previous, stale);
  const unchanged = unchangedFiles(previous, sandboxId, known);
  const writer = createPackWriter({ blobs, organizationId, known });
  const read = new Map<string, ReadFile>();
  const contentOf = (entry: TreeEntry): FileContent | undefined => {
    const path = toRelative(root, entry.path);
    const before = unchanged.get(path);
    if (before?.fingerprint === entry.fingerprint) return before;
    const file = read.get(path);
    return file === undefined
      ? undefined
      : { ...file, fingerprint: isAsRead(entry, file.entry) ? entry.fingerprint : null };
  };
  let listed: readonly TreeEntry[] = [];
  let entries: readonly TreeEntry[] = [];
  let unread: readonly TreeEntry[] = [];
  let filesRead = 0;
  for (let scan = 1; ; scan += 1) {
    listed = await session.listTree({ path: root });
    entries = listed.filter((entry) => isStorable(toRelative(root, entry.path), entry));
    unread = entries.filter((entry) => entry.kind === "file" && contentOf(entry)?.fingerprint !== entry.fingerprint);
    if (unread.length === 0 || scan === scansAtMost) break;
    filesRead += unread.length;
    await readFiles(session, unread, writer, (entry, file) => read.set(toRelative(root, entry.path), file));
  }
  const stored = await writer.finish();
  const kept = toManifest(sandboxId, root, entries, contentOf);
  const manifest = { ...kept, leftOut: kept.leftOut + listed.length - entries.length };
  await tick;
  return { manifest, stored, filesRead, unsettled: unread.length };
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
function knownChunks(previous: Manifest | null, stale: ReadonlySet<string>): Map<string, Chunk> {
  const known = new Map<string, Chunk>();
  if (previous === null) return known;
  for (const chunk of chunksOf(previous)) if (!stale.has(chunk.pack.sha256)) known.set(chunk.sha256, chunk);
  return known;
}

/** Files that need not be read while their fingerprint is the same. Those of a pack that is given up are. */
function unchangedFiles(
  previous: Manifest | null,
  sandboxId: string,
  known: ReadonlyMap<string, Chunk>,
): ReadonlyMap<string, ManifestFile> {
  if (previous === null || previous.sandboxId !== sandboxId) return new Map();
  return new Map(
    previous.files
      .filter((file) => file.pieces.every((piece) => isHole(piece) || known.has(piece.sha256)))
      .map((file) => [file.path, file]),
  );
}

async function readFiles(
  session: SandboxSession,
  entries: readonly TreeEntry[],
  writer: PackWriter,
  done: (entry: TreeEntry, file: ReadFile) => void,
): Promise<void> {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  let current: TreeEntry | undefined;
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
      if (current !== undefined) done(current, { entry: current, size: part.size, pieces });
      current = undefined;
    }
  }
}

function toManifest(
  sandboxId: string,
  root: string,
  entries: readonly TreeEntry[],
  contentOf: (entry: TreeEntry) => FileContent | undefined,
): Manifest {
  const sorted = entries
    .map((entry) => ({ entry, path: toRelative(root, entry.path) }))
    .sort((one, other) => (one.path < other.path ? -1 : 1));
  const files = sorted.flatMap(({ entry, path }): ManifestFile[] => {
    const content = entry.kind === "file" ? contentOf(entry) : undefined;
    if (content === undefined) return [];
    const { size, fingerprint, pieces } = content;
    return [{ path, mode: entry.mode, modifiedAt: toTime(entry.modifiedAt), size, fingerprint, pieces }];
  });
  const directories = sorted.flatMap(({ entry: { kind, mode }, path }) =>
    kind === "directory" ? [{ path, mode }] : [],
  );
  const links = sorted.flatMap(({ entry: { linkTarget }, path }) =>
    linkTarget === null ? [] : [{ path, target: linkTarget }],
  );
  const leftOut = entries.length - files.length - directories.length - links.length;
  return { sandboxId, directories, links, files, leftOut };
}

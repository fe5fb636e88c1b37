/**
 * A workspace becomes what a manifest says: exactly, with nothing else in it. Where it holds an older state already,
 * only differences are placed. Whatever fails leaves it half done: the sandbox must not be handed out then.
 * @module
 */
import type { FilePiece, PlacedEntry, SandboxSession, TreeEntry } from "@exoloop/sandbox/session";
import type { BlobStore } from "../../blobs/store.ts";
import { isHole, type Manifest, type ManifestFile, type Pack, sameFile } from "./manifest.ts";
import { createPackReader, type PackReader } from "./pack-reader.ts";
import { parentOf, toRelative } from "./tree.ts";

export interface RestoreRequest {
  /** Nothing may run in it. */
  readonly session: SandboxSession;
  readonly sandboxId: string;
  readonly root: string;
  readonly manifest: Manifest;
  /** What is known of the sandbox's present content; files whose fingerprints still hold are not placed again. */
  readonly present: Manifest | null;
  readonly blobs: BlobStore;
  readonly organizationId: string;
}

/** The workspace is not what the manifest says after all was placed. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";
}

/** Returns the manifest with the fingerprints of this sandbox: the next capture reads only what changes from now on. */
export async function restoreWorkspace(request: RestoreRequest): Promise<Manifest> {
  const { session, root, manifest, sandboxId } = request;
  const found = byPath(root, await session.listTree({ path: root }));
  await openDirectories(session, found);
  await removeOthers(request, found);
  const files = manifest.files.filter((file) => !isPresent(request, found, file)).sort(byPack);
  const packs = files.flatMap((file) => file.pieces.flatMap((piece) => (isHole(piece) ? [] : [piece.pack])));
  const reader = createPackReader({ ...request, sequence: packs.filter((pack, index) => pack !== packs[index - 1]) });
  await session.placeEntries({ entries: entriesOf(request, found, files, reader) });
  const placed = byPath(root, await session.listTree({ path: root }));
  verify(manifest, placed);
  return {
    ...manifest,
    sandboxId,
    files: manifest.files.map((file) => ({ ...file, fingerprint: placed.get(file.path)?.fingerprint ?? null })),
  };
}

type Tree = ReadonlyMap<string, TreeEntry>;

function byPath(root: string, entries: readonly TreeEntry[]): Tree {
  return new Map(entries.map((entry) => [toRelative(root, entry.path), entry]));
}

/** Packs are read one after the other where files lie in them in one piece. */
function byPack(one: ManifestFile, other: ManifestFile): number {
  const [left, right] = [firstPack(one)?.sha256 ?? "", firstPack(other)?.sha256 ?? ""];
  return left < right ? -1 : left > right ? 1 : 0;
}

function firstPack(file: ManifestFile): Pack | undefined {
  for (const piece of file.pieces) if (!isHole(piece)) return piece.pack;
  return undefined;
}

function isPresent({ present, sandboxId }: RestoreRequest, found: Tree, file: ManifestFile): boolean {
  if (present === null || present.sandboxId !== sandboxId) return false;
  const entry = found.get(file.path);
  const known = presentFiles(present).get(file.path);
  return (
    known !== undefined &&
    known.fingerprint !== null &&
    known.fingerprint === entry?.fingerprint &&
    known.modifiedAt === file.modifiedAt &&
    sameFile(known, file)
  );
}

const presentFilesOf = new WeakMap<Manifest, ReadonlyMap<string, ManifestFile>>();

function presentFiles(manifest: Manifest): ReadonlyMap<string, ManifestFile> {
  const files = presentFilesOf.get(manifest) ?? new Map(manifest.files.map((file) => [file.path, file]));
  presentFilesOf.set(manifest, files);
  return files;
}

/** So that what is in them can be replaced and removed. */
async function openDirectories(session: SandboxSession, found: Tree): Promise<void> {
  const closed = [...found.values()].filter(({ kind, mode }) => kind === "directory" && (mode & 0o700) !== 0o700);
  if (closed.length === 0) return;
  // A directory before those in it.
  closed.sort((one, other) => one.path.length - other.path.length);
  await session.placeEntries({ entries: closed.map(({ path, mode }) => openDirectory(path, mode)) });
}

/** What the manifest does not name, or names as something else. */
async function removeOthers({ session, root, manifest }: RestoreRequest, found: Tree): Promise<void> {
  const kinds = new Map<string, TreeEntry["kind"]>([
    ...manifest.directories.map(({ path }) => [path, "directory"] as const),
    ...manifest.links.map(({ path }) => [path, "symlink"] as const),
    ...manifest.files.map(({ path }) => [path, "file"] as const),
  ]);
  const others = [...found].filter(([path, entry]) => kinds.get(path) !== entry.kind);
  const removed = new Set(others.map(([path]) => path));
  for (const [path, entry] of others) {
    // What is in it goes with it.
    if (removed.has(parentOf(path))) continue;
    await session.deleteFile({ path: `${root}/${path}`, recursive: entry.kind === "directory" });
  }
}

/** Its owner may enter it and change what is in it, until everything is placed. */
function openDirectory(path: string, mode: number): PlacedEntry {
  return { kind: "directory", path, mode: mode | 0o700 };
}

async function* entriesOf(
  { root, manifest }: RestoreRequest,
  found: Tree,
  files: readonly ManifestFile[],
  reader: PackReader,
): AsyncIterable<PlacedEntry> {
  const closed = manifest.directories.filter(({ mode }) => (mode & 0o700) !== 0o700);
  for (const { path, mode } of manifest.directories) {
    const entry = found.get(path);
    if (entry?.kind !== "directory" || entry.mode !== (mode | 0o700)) {
      yield openDirectory(`${root}/${path}`, mode);
    }
  }
  for (const file of files) yield await toPlacedFile(`${root}/${file.path}`, file, reader);
  for (const { path, target } of manifest.links) {
    if (found.get(path)?.linkTarget !== target) yield { kind: "symlink", path: `${root}/${path}`, target };
  }
  // Deepest first: a directory that is closed cannot be passed any more.
  for (const { path, mode } of closed.toReversed()) yield { kind: "directory", path: `${root}/${path}`, mode };
}

async function toPlacedFile(path: string, file: ManifestFile, reader: PackReader): Promise<PlacedEntry> {
  const { mode, modifiedAt, pieces } = file;
  const [first] = pieces;
  if (first === undefined) return { kind: "file", path, mode, modifiedAt, content: new Uint8Array() };
  const whole = pieces.length === 1 && !isHole(first);
  const content = whole ? await reader.read(first) : readPieces(pieces, reader);
  return { kind: "file", path, mode, modifiedAt, content };
}

async function* readPieces(pieces: ManifestFile["pieces"], reader: PackReader): AsyncIterable<FilePiece> {
  for (const piece of pieces) yield isHole(piece) ? piece : await reader.read(piece);
}

/** The sandbox checks every file's content as it takes it; here, that nothing is missing, wrong or left over. */
function verify(manifest: Manifest, placed: Tree): void {
  const wrong = (path: string, what: string): never => {
    throw new RestoreError(`the workspace could not be restored: ${what}: ${JSON.stringify(path.slice(0, 200))}`);
  };
  const check = (path: string, kind: TreeEntry["kind"], same: (entry: TreeEntry) => boolean) => {
    const entry = placed.get(path);
    if (entry === undefined) wrong(path, "not there");
    else if (entry.kind !== kind || !same(entry)) wrong(path, "not as it was");
  };
  const sameMode = (mode: number) => (entry: TreeEntry) => (entry.mode & 0o777) === (mode & 0o777);
  for (const { path, mode } of manifest.directories) check(path, "directory", sameMode(mode));
  for (const { path, target } of manifest.links) check(path, "symlink", (entry) => entry.linkTarget === target);
  for (const { path, mode, size } of manifest.files) {
    check(path, "file", (entry) => entry.size === size && sameMode(mode)(entry));
  }
  const expected = manifest.directories.length + manifest.links.length + manifest.files.length;
  if (placed.size !== expected) wrong("", `${placed.size} entries instead of ${expected}`);
}

/**
 * A workspace becomes what a manifest says: exactly, with nothing else in it. Where it holds an older state already,
 * only differences are placed. Whatever fails leaves it half done: the sandbox must not be handed out then.
 * @module
 */
import type { FilePiece, PlacedEntry, SandboxSession, TreeEntry } from "@exoloop/sandbox/session";
import type { BlobStore } from "../../blobs/store.ts";
import { inTurns } from "./in-turns.ts";
import {
  isHole,
  type Manifest,
  type ManifestDirectory,
  type ManifestFile,
  type ManifestLink,
  type Pack,
  sameFile,
} from "./manifest.ts";
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

/** On a busy disk a file may take some milliseconds. */
const entriesAtOnce = 20_000;

/** The workspace is not what the manifest says after all was placed. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";
}

/** Returns the manifest with the fingerprints of this sandbox: the next capture reads only what changes from now on. */
export async function restoreWorkspace(request: RestoreRequest): Promise<Manifest> {
  const { session, root, manifest, sandboxId } = request;
  const found = await lookAround(session, root);
  if (found.size > 0) {
    await openDirectories(session, found);
    await removeOthers(request, found);
  }
  const groups = await byPack(manifest.files.filter((file) => !isPresent(request, found, file)));
  const reader = createPackReader({ ...request, sequence: sequenceOf(groups) });
  await placeAll(session, entriesOf(request, found, groups, reader));
  const fingerprints = await verify(request);
  const files = manifest.files.map((file) => ({ ...file, fingerprint: fingerprints.get(file.path) ?? null }));
  return { ...manifest, sandboxId, files };
}

type Tree = ReadonlyMap<string, TreeEntry>;

async function lookAround(session: SandboxSession, root: string): Promise<Tree> {
  const found = new Map<string, TreeEntry>();
  for await (const entries of session.scanTree({ path: root })) {
    for (const entry of entries) found.set(toRelative(root, entry.path), entry);
  }
  return found;
}

/** Files whose content begins in the same pack. */
type Groups = ReadonlyMap<string, readonly ManifestFile[]>;

/** Packs are read one after the other where files lie in them in one piece. */
async function byPack(files: readonly ManifestFile[]): Promise<Groups> {
  const groups = new Map<string, ManifestFile[]>();
  for await (const some of inTurns(files)) {
    for (const file of some) {
      const key = firstPack(file)?.sha256 ?? "";
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [file]);
      else group.push(file);
    }
  }
  return groups;
}

/** As the files will need them. */
function sequenceOf(groups: Groups): readonly Pack[] {
  const sequence: Pack[] = [];
  for (const files of groups.values()) {
    for (const { pieces } of files) {
      for (const piece of pieces) {
        if (!isHole(piece) && piece.pack.sha256 !== sequence.at(-1)?.sha256) sequence.push(piece.pack);
      }
    }
  }
  return sequence;
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

/** Some after the others: what is asked for at once has its time limit. */
async function placeAll(session: SandboxSession, entries: AsyncIterable<PlacedEntry>): Promise<void> {
  const iterator = entries[Symbol.asyncIterator]();
  let ended = false;
  const some = async function* (): AsyncIterable<PlacedEntry> {
    for (let count = 0; count < entriesAtOnce; count += 1) {
      const next = await iterator.next();
      ended = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  };
  while (!ended) await session.placeEntries({ entries: some() });
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
  groups: Groups,
  reader: PackReader,
): AsyncIterable<PlacedEntry> {
  const closed = manifest.directories.filter(({ mode }) => (mode & 0o700) !== 0o700);
  for (const { path, mode } of manifest.directories) {
    const entry = found.get(path);
    if (entry?.kind !== "directory" || entry.mode !== (mode | 0o700)) {
      yield openDirectory(`${root}/${path}`, mode);
    }
  }
  for (const files of groups.values()) {
    for (const file of files) yield await toPlacedFile(`${root}/${file.path}`, file, reader);
  }
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

/**
 * The sandbox checks every file's content as it takes it; here, that nothing is missing, wrong or left over. Returns the
 * fingerprints of all files.
 */
async function verify({ session, root, manifest }: RestoreRequest): Promise<ReadonlyMap<string, string>> {
  const expected = new Map<string, ManifestFile | ManifestDirectory | ManifestLink>();
  for (const list of [manifest.directories, manifest.links, manifest.files]) {
    for await (const some of inTurns<ManifestFile | ManifestDirectory | ManifestLink>(list)) {
      for (const entry of some) expected.set(entry.path, entry);
    }
  }
  const fingerprints = new Map<string, string>();
  for await (const entries of session.scanTree({ path: root })) {
    for (const entry of entries) {
      const path = toRelative(root, entry.path);
      const wanted = expected.get(path);
      if (wanted === undefined) throw toError(path, "it was not to be there");
      if (!isAsWanted(entry, wanted)) throw toError(path, "not as it was");
      if (entry.kind === "file") fingerprints.set(path, entry.fingerprint);
      expected.delete(path);
    }
  }
  for (const path of expected.keys()) throw toError(path, "not there");
  return fingerprints;
}

function isAsWanted(entry: TreeEntry, wanted: ManifestFile | ManifestDirectory | ManifestLink): boolean {
  if ("target" in wanted) return entry.kind === "symlink" && entry.linkTarget === wanted.target;
  if ((entry.mode & 0o777) !== (wanted.mode & 0o777)) return false;
  return "pieces" in wanted ? entry.kind === "file" && entry.size === wanted.size : entry.kind === "directory";
}

function toError(path: string, what: string): RestoreError {
  return new RestoreError(`the workspace could not be restored: ${what}: ${JSON.stringify(path.slice(0, 200))}`);
}

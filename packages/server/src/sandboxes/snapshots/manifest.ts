/**
 * What a snapshot consists of. A manifest is a blob; its content lies in packs, which are blobs too. What is written is
 * described in `manifest-format.ts`, which reads it as if an enemy had written it.
 * @module
 */

/** A chunk of a file's content. A file is cut every 4 MiB, and at its holes. */
export interface Chunk {
  /** Of the content, in hexadecimal. */
  readonly sha256: string;
  readonly pack: Pack;
  /** Where it begins in the pack's content. */
  readonly offset: number;
  readonly length: number;
}

/** Chunks one after the other, compressed as one blob. */
export interface Pack {
  /** Key of the blob. */
  readonly sha256: string;
  /** Bytes of its content, uncompressed; at most {@link maximumPackBytes}. */
  readonly size: number;
  readonly storedSize: number;
}

export interface Hole {
  readonly holeBytes: number;
}

export interface ManifestFile {
  /** Relative to the workspace: `src/main.ts`. */
  readonly path: string;
  readonly mode: number;
  /** Whole milliseconds since the epoch. */
  readonly modifiedAt: number;
  readonly size: number;
  /** In the manifest's sandbox. Null: it changed while it was read, and is read again next time. */
  readonly fingerprint: string | null;
  readonly pieces: readonly (Chunk | Hole)[];
}

export interface ManifestDirectory {
  readonly path: string;
  readonly mode: number;
}

export interface ManifestLink {
  readonly path: string;
  readonly target: string;
}

/** Each list in the order of its paths, so that a directory comes before what is in it. */
export interface Manifest {
  /** Where the fingerprints hold. */
  readonly sandboxId: string;
  readonly directories: readonly ManifestDirectory[];
  readonly links: readonly ManifestLink[];
  readonly files: readonly ManifestFile[];
  /** Sockets, FIFOs, devices, names that are no UTF-8, what could not be read, and entries beyond the most. */
  readonly leftOut: number;
}

/** Directories, links and files together, by their {@link weightOf}. */
export const maximumEntries = 1_000_000;
/** So many characters of a path and a target, or pieces of a file, take about as much memory as an entry. */
const charactersInWeight = 256;
const piecesInWeight = 4;
/** Of one file: chunks, and the holes between them. A sandbox's disk of 4 GB, full of the smallest, has eight times as many. */
export const maximumPieces = 250_000;
export const maximumChunkBytes = 4 * 1024 ** 2;
/** So that a few packs at once, with what they become, take less than 32 MiB. */
export const maximumPackBytes = 4 * 1024 ** 2;

export function isHole(piece: Chunk | Hole): piece is Hole {
  return "holeBytes" in piece;
}

/** Every pack that the manifest's files need, once. */
export function packsOf(manifest: Manifest): readonly Pack[] {
  const packs = new Map<string, Pack>();
  for (const chunk of chunksOf(manifest)) packs.set(chunk.pack.sha256, chunk.pack);
  return [...packs.values()];
}

/** Every chunk of every file, as often as it occurs. */
export function* chunksOf(manifest: Manifest): Iterable<Chunk> {
  for (const file of manifest.files) {
    for (const piece of file.pieces) if (!isHole(piece)) yield piece;
  }
}

/** What an entry takes of {@link maximumEntries}: one with a long path, a long target or many pieces takes more. */
export function weightOf(entry: {
  readonly path: string;
  readonly target?: string;
  readonly pieces?: ManifestFile["pieces"];
}): number {
  const { path, target = "", pieces } = entry;
  return 1 + Math.floor((path.length + target.length) / charactersInWeight) + weightOfPieces(pieces?.length ?? 0);
}

export function weightOfPieces(count: number): number {
  return Math.floor(count / piecesInWeight);
}

export function weightOfAll({ directories, links, files }: Manifest): number {
  let weight = 0;
  for (const directory of directories) weight += weightOf(directory);
  for (const link of links) weight += weightOf(link);
  for (const file of files) weight += weightOf(file);
  return weight;
}

export function logicalBytes(manifest: Manifest): number {
  return manifest.files.reduce((sum, file) => sum + file.size, 0);
}

/** Whether both restore to the same workspace. Fingerprints say nothing about it. */
export function sameWorkspace(left: Manifest, right: Manifest): boolean {
  return (
    sameEntries(left.directories, right.directories, (one, other) => one.mode === other.mode) &&
    sameEntries(left.links, right.links, (one, other) => one.target === other.target) &&
    sameEntries(left.files, right.files, (one, other) => sameFile(one, other) && one.modifiedAt === other.modifiedAt)
  );
}

/** Whether two files have the same content and mode. */
export function sameFile(one: ManifestFile, other: ManifestFile): boolean {
  return (
    one.size === other.size &&
    one.mode === other.mode &&
    one.pieces.length === other.pieces.length &&
    one.pieces.every((piece, index) => samePiece(piece, other.pieces[index]))
  );
}

function samePiece(one: Chunk | Hole, other: Chunk | Hole | undefined): boolean {
  if (other === undefined) return false;
  if (isHole(one)) return isHole(other) && one.holeBytes === other.holeBytes;
  return !isHole(other) && one.sha256 === other.sha256;
}

function sameEntries<Entry extends { readonly path: string }>(
  left: readonly Entry[],
  right: readonly Entry[],
  same: (one: Entry, other: Entry) => boolean,
): boolean {
  if (left.length !== right.length) return false;
  return left.every((entry, index) => {
    const other = right[index];
    return entry === other || (entry.path === other?.path && same(entry, other));
  });
}

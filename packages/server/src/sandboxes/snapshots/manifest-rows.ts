/**
 * The rows of a manifest, or of a part of one. What is read is checked entirely before any of it is used: a path never
 * leaves the workspace, and never leads through a link.
 * @module
 */
import { isSha256 } from "../../blobs/store.ts";
import {
  type Chunk,
  type Hole,
  isHole,
  type Manifest,
  type ManifestFile,
  maximumChunkBytes,
  maximumEntries,
  maximumPackBytes,
  type Pack,
  weightOf,
  weightOfPieces,
} from "./manifest.ts";

const maximumPathBytes = 4096;

/** A manifest that cannot be used. Nothing of it was. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

export type Entries = Pick<Manifest, "directories" | "links" | "files">;

export type Fields = Readonly<Record<string, unknown>>;

export function toRows({ directories, links, files }: Entries): Fields {
  const packs = new Map<string, number>();
  const packRows: unknown[] = [];
  const chunks = new Map<string, number>();
  const chunkRows: unknown[] = [];
  for (const { sha256, pack, offset, length } of files.flatMap(({ pieces }) => pieces.filter(isChunk))) {
    if (chunks.has(sha256)) continue;
    if (!packs.has(pack.sha256)) {
      packs.set(pack.sha256, packRows.length);
      packRows.push([pack.sha256, pack.size, pack.storedSize]);
    }
    chunks.set(sha256, chunkRows.length);
    chunkRows.push([sha256, packs.get(pack.sha256), offset, length]);
  }
  return {
    packs: packRows,
    chunks: chunkRows,
    directories: directories.map(({ path, mode }) => [path, mode]),
    links: links.map(({ path, target }) => [path, target]),
    files: files.map(({ path, mode, modifiedAt, size, fingerprint, pieces }) => {
      const indices = pieces.map((piece) => (isHole(piece) ? -piece.holeBytes : chunks.get(piece.sha256)));
      return [path, mode, modifiedAt, size, fingerprint, indices];
    }),
  };
}

function isChunk(piece: Chunk | Hole): piece is Chunk {
  return !isHole(piece);
}

/** Reads the parts of one manifest, in their order. */
export interface RowReader {
  /** @throws ManifestError */
  read(fields: Fields): Entries;
}

export function createRowReader(): RowReader {
  const tree = createTreeCheck();
  /** Those that several parts name are one. */
  const known = new Map<string, Pack>();
  return {
    read(fields) {
      const packs = rows(fields["packs"], 3, "packs").map((row) => {
        const pack = readPack(row);
        known.set(pack.sha256, known.get(pack.sha256) ?? pack);
        return known.get(pack.sha256) ?? pack;
      });
      const chunks = rows(fields["chunks"], 4, "chunks").map((row) => readChunk(row, packs));
      const directories = rows(fields["directories"], 2, "directories").map(([path, mode]) => {
        const entry = { path: tree.add(path), mode: count(mode, 0o7777, "a mode") };
        tree.open(entry.path);
        return entry;
      });
      const links = rows(fields["links"], 2, "links").map(([path, value]) => {
        const target = withoutNul(text(value, maximumPathBytes, "a link's target"));
        return { path: tree.add(path, target), target };
      });
      const files = rows(fields["files"], 6, "files").map((row) => {
        const file = readFile(row, tree.add(row[0]), chunks);
        tree.weigh(weightOfPieces(file.pieces.length));
        return file;
      });
      return { directories, links, files };
    },
  };
}

function readPack([sha256, size, storedSize]: readonly unknown[]): Pack {
  return {
    sha256: hash(sha256),
    size: count(size, maximumPackBytes, "a pack's size"),
    storedSize: count(storedSize, maximumPackBytes * 2, "a pack's stored size"),
  };
}

function readChunk([sha256, packIndex, offset, length]: readonly unknown[], packs: readonly Pack[]): Chunk {
  const pack = packs[count(packIndex, packs.length - 1, "a chunk's pack")];
  require(pack !== undefined, "a chunk has no pack");
  const chunk = {
    sha256: hash(sha256),
    pack,
    offset: count(offset, pack.size, "a chunk's offset"),
    length: count(length, maximumChunkBytes, "a chunk's length"),
  };
  require(chunk.length > 0 && chunk.offset + chunk.length <= pack.size, "a chunk lies outside its pack");
  return chunk;
}

function readFile(row: readonly unknown[], path: string, chunks: readonly Chunk[]): ManifestFile {
  const [, mode, modifiedAt, size, fingerprint, pieces] = row;
  require(typeof modifiedAt === "number" &&
    Number.isSafeInteger(modifiedAt), "a file's time is not whole milliseconds");
  require(Array.isArray(pieces), "a file has no list of pieces");
  const read = pieces.map((piece: unknown): Chunk | Hole => {
    if (typeof piece === "number" && piece < 0) return { holeBytes: count(-piece, Number.MAX_SAFE_INTEGER, "a hole") };
    const chunk = chunks[count(piece, chunks.length - 1, "a piece")];
    require(chunk !== undefined, "a piece has no chunk");
    return chunk;
  });
  const file = {
    path,
    mode: count(mode, 0o7777, "a mode"),
    modifiedAt,
    size: count(size, Number.MAX_SAFE_INTEGER, "a file's size"),
    fingerprint: fingerprint === null ? null : text(fingerprint, 256, "a fingerprint"),
    pieces: read,
  };
  const bytes = read.reduce((sum, piece) => sum + (isHole(piece) ? piece.holeBytes : piece.length), 0);
  require(bytes === file.size, "a file's pieces are not its size");
  return file;
}

/** Every path once, inside the workspace, and in a directory that was named before. */
function createTreeCheck() {
  const seen = new Set<string>();
  const directories = new Set<string>([""]);
  let total = 0;
  const weigh = (weight: number): void => {
    total += weight;
    require(total <= maximumEntries, "it has too many entries");
  };
  return {
    weigh,
    add(value: unknown, target = ""): string {
      const path = withoutNul(text(value, maximumPathBytes, "a path"));
      const names = path.split("/");
      require(names.every((name) => name !== "" && name !== "." && name !== ".."), "a path leaves the workspace");
      require(!seen.has(path), "a path occurs twice");
      weigh(weightOf({ path, target }));
      require(directories.has(names.slice(0, -1).join("/")), "a path is in no directory of the manifest");
      seen.add(path);
      return path;
    },
    open: (path: string) => void directories.add(path),
  };
}

export function require(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new ManifestError(`a manifest cannot be used: ${problem}`);
}

export function rows(value: unknown, width: number, name: string): readonly (readonly unknown[])[] {
  require(Array.isArray(value) && value.length <= maximumEntries, `${name} is not a list, or too long`);
  return value.map((row: unknown): readonly unknown[] => {
    require(Array.isArray(row) && row.length === width, `an entry of ${name} has not ${width} parts`);
    return row;
  });
}

export function count(value: unknown, most: number, name: string): number {
  require(typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= most, `${name} is wrong`);
  return value;
}

export function text(value: unknown, most: number, name: string): string {
  require(typeof value === "string" && value !== "" && Buffer.byteLength(value) <= most, `${name} is wrong`);
  return value;
}

function withoutNul(value: string): string {
  require(!value.includes("\0"), "a path holds a zero byte");
  return value;
}

export function hash(value: unknown): string {
  require(typeof value === "string" && isSha256(value), "a checksum is wrong");
  return value;
}

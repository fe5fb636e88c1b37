/**
 * A manifest as bytes: JSON, compressed with Zstandard. Version 1:
 *
 *     { "version": 1, "sandbox": "sbx_…", "left_out": 0,
 *       "packs":       [[sha256, size, stored size], …],
 *       "chunks":      [[sha256, pack, offset, length], …],
 *       "directories": [[path, mode], …],
 *       "links":       [[path, target], …],
 *       "files":       [[path, mode, modified at, size, fingerprint or null, [piece, …]], …] }
 *
 * A pack is an index of `packs`; a piece is an index of `chunks`, or a hole: its bytes, negative. Version 2, for many
 * entries, names blobs of which each holds the rows of some of them, and what these need:
 *
 *     { "version": 2, "sandbox": "sbx_…", "left_out": 0, "parts": [sha256, …] }
 *
 * @module
 */
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import type { Manifest } from "./manifest.ts";
import {
  count,
  createRowReader,
  type Entries,
  type Fields,
  hash,
  ManifestError,
  require,
  type RowReader,
  text,
  toRows,
} from "./manifest-rows.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Uncompressed, of one blob. */
const maximumBytes = 256 * 1024 ** 2;
const maximumParts = 10_000;

/** What every blob of a manifest is found by. */
export type FetchBlob = (sha256: string) => Promise<Uint8Array>;

/** As one blob. @throws ManifestError for what {@link decodeManifest} would not take. */
export async function encodeManifest(manifest: Manifest): Promise<Uint8Array> {
  const written = { ...headOf(manifest, 1), ...toRows(manifest) };
  // What could not be read again must not be stored as if it could.
  readHead(written);
  createRowReader().read(written);
  return encode(written);
}

/** One of several blobs. `reader` has read those before it. @throws ManifestError */
export async function encodePart(entries: Entries, reader: RowReader): Promise<Uint8Array> {
  const written = toRows(entries);
  reader.read(written);
  return encode(written);
}

/** What names them. @throws ManifestError */
export async function encodeIndex(manifest: Manifest, parts: readonly string[]): Promise<Uint8Array> {
  const written = { ...headOf(manifest, 2), parts };
  readHead(written);
  readParts(written);
  return encode(written);
}

/** @throws ManifestError */
export async function decodeManifest(bytes: Uint8Array, fetchPart?: FetchBlob): Promise<Manifest> {
  const written = await decode(bytes);
  const { version, ...head } = readHead(written);
  const reader = createRowReader();
  if (version === 1) return { ...head, ...reader.read(written) };
  const parts = readParts(written);
  require(fetchPart !== undefined, "its parts are elsewhere");
  const manifest: Gathered = { ...head, directories: [], links: [], files: [] };
  let next = fetchAhead(parts, 0, fetchPart);
  for (let index = 0; index < parts.length; index += 1) {
    const part = await next;
    next = fetchAhead(parts, index + 1, fetchPart);
    const { directories, links, files } = reader.read(await decode(part));
    for (const directory of directories) manifest.directories.push(directory);
    for (const link of links) manifest.links.push(link);
    for (const file of files) manifest.files.push(file);
  }
  return manifest;
}

interface Gathered extends Omit<Manifest, keyof Entries> {
  readonly directories: Manifest["directories"][number][];
  readonly links: Manifest["links"][number][];
  readonly files: Manifest["files"][number][];
}

/** The one after the last is nothing. */
function fetchAhead(parts: readonly string[], index: number, fetchPart: FetchBlob): Promise<Uint8Array> {
  const sha256 = parts[index];
  const fetching = sha256 === undefined ? Promise.resolve(new Uint8Array()) : fetchPart(sha256);
  // Whoever waits for it is told.
  fetching.catch(() => undefined);
  return fetching;
}

async function encode(written: Fields): Promise<Uint8Array> {
  const json = JSON.stringify(written);
  require(json.length <= maximumBytes / 4, "it is too large");
  return compress(Buffer.from(json), {
    chunkSize: 1024 ** 2,
    params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}

async function decode(bytes: Uint8Array): Promise<Fields> {
  let value: unknown;
  try {
    const json = await decompress(bytes, { chunkSize: 1024 ** 2, maxOutputLength: maximumBytes });
    value = JSON.parse(json.toString("utf8"));
  } catch (error) {
    throw new ManifestError(`a manifest cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  require(typeof value === "object" && value !== null, "it is not an object");
  return { ...value };
}

function headOf({ sandboxId, leftOut }: Manifest, version: 1 | 2): Fields {
  return { version, sandbox: sandboxId, left_out: leftOut };
}

function readHead(fields: Fields) {
  const { version } = fields;
  require(version === 1 || version === 2, "its version is not 1 or 2");
  return {
    version,
    sandboxId: text(fields["sandbox"], 128, "sandbox"),
    leftOut: count(fields["left_out"], Number.MAX_SAFE_INTEGER, "left_out"),
  };
}

function readParts(fields: Fields): readonly string[] {
  const { parts } = fields;
  require(Array.isArray(parts) && parts.length <= maximumParts, "parts is not a list, or too long");
  return parts.map(hash);
}

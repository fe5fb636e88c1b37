/** Manifests in the blob store: a small one is a blob; a large one is many, of which most are those of the one before. @module */
import { crc32 } from "node:zlib";
import type { BlobStore, StoredBlob } from "../../blobs/store.ts";
import type { Manifest } from "./manifest.ts";
import { decodeManifest, encodeIndex, encodeManifest, encodePart } from "./manifest-format.ts";
import { createRowReader, type Entries } from "./manifest-rows.ts";

/** So many rows, of entries and of pieces of files, are one blob. */
const rowsInOne = 40_000;
/** Cut where a path says so: what is added or removed changes the part that it is in, and none behind it. */
const shortestPart = 1_024;
const longestPart = 4_096;
/** Characters of JSON, roughly; a chunk and its place are about a hundred. */
const largestPart = 4 * 1024 ** 2;
const pieceCharacters = 100;
const partsAtOnce = 4;

/** Everything that was stored, what the manifest is found by last. */
export async function storeManifest(
  blobs: BlobStore,
  organizationId: string,
  manifest: Manifest,
): Promise<readonly StoredBlob[]> {
  const put = (bytes: Uint8Array) => blobs.put(organizationId, bytes);
  if (countRows(manifest) <= rowsInOne) return [await put(await encodeManifest(manifest))];
  const reader = createRowReader();
  const parts: StoredBlob[] = [];
  let storing: Promise<StoredBlob>[] = [];
  const settle = async () => {
    parts.push(...(await Promise.all(storing)));
    storing = [];
  };
  for (const entries of partsOf(manifest)) {
    storing.push(put(await encodePart(entries, reader)));
    if (storing.length === partsAtOnce) await settle();
  }
  await settle();
  const index = await put(
    await encodeIndex(
      manifest,
      parts.map(({ sha256 }) => sha256),
    ),
  );
  return [...parts, index];
}

/** @throws BlobError, ManifestError */
export async function loadManifest(blobs: BlobStore, organizationId: string, sha256: string): Promise<Manifest> {
  const fetchBlob = (key: string) => blobs.get(organizationId, key);
  return decodeManifest(await fetchBlob(sha256), fetchBlob);
}

function countRows({ directories, links, files }: Manifest): number {
  return files.reduce((sum, { pieces }) => sum + 1 + pieces.length, directories.length + links.length);
}

const none: Entries = { directories: [], links: [], files: [] };

/** Directories first: the rows of what is in them are checked against them. */
function* partsOf({ directories, links, files }: Manifest): Generator<Entries> {
  for (const some of cut(directories)) yield { ...none, directories: some };
  for (const some of cut(links)) yield { ...none, links: some };
  for (const some of cut(files)) yield { ...none, files: some };
}

interface Row {
  readonly path: string;
  readonly pieces?: readonly unknown[];
}

function* cut<Entry extends Row>(entries: readonly Entry[]): Generator<readonly Entry[]> {
  let [from, characters] = [0, 0];
  for (const [index, { path, pieces = [] }] of entries.entries()) {
    characters += path.length + pieces.length * pieceCharacters;
    const length = index + 1 - from;
    const mark = length >= shortestPart && crc32(path) % shortestPart === 0;
    if (!mark && length < longestPart && characters < largestPart) continue;
    yield entries.slice(from, index + 1);
    [from, characters] = [index + 1, 0];
  }
  if (from < entries.length) yield entries.slice(from);
}

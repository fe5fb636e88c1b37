/** Manifests in the blob store: a small one is a blob; a large one is many, of which most are those of the one before. @module */
import { crc32 } from "node:zlib";
import type { BlobStore, StoredBlob } from "../../blobs/store.ts";
import type { Manifest } from "./manifest.ts";
import { decodeManifest, encodeIndex, encodeManifest, encodePart } from "./manifest-format.ts";
import { createRowReader, type Entries } from "./manifest-rows.ts";

/** So many rows, of entries and of pieces of files, are one blob. */
const rowsInOne = 40_000;
/** Characters in one, counted as in a part. */
const charactersInOne = 8 * 1024 ** 2;
/** Cut where a path says so: what is added or removed changes the part that it is in, and none behind it. */
const shortestPart = 1_024;
const longestPart = 4_096;
/** Characters of paths and targets, which JSON may make six times as long; a chunk and its place are about a hundred. */
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
  if (isSmall(manifest)) return [await put(await encodeManifest(manifest))];
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

/**
 * @param beforeParts Is waited for before more is held than one blob may hold.
 * @throws BlobError, ManifestError
 */
export async function loadManifest(
  blobs: BlobStore,
  organizationId: string,
  sha256: string,
  beforeParts?: () => Promise<void>,
): Promise<Manifest> {
  return decodeManifest(await blobs.get(organizationId, sha256), async (key) => {
    await beforeParts?.();
    return blobs.get(organizationId, key);
  });
}

function isSmall({ directories, links, files }: Manifest): boolean {
  let [rows, characters] = [0, 0];
  for (const list of [directories, links, files] as readonly (readonly Row[])[]) {
    for (const row of list) {
      rows += 1 + (row.pieces?.length ?? 0);
      characters += charactersOf(row);
      if (rows > rowsInOne || characters > charactersInOne) return false;
    }
  }
  return true;
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
  readonly target?: string;
  readonly pieces?: readonly unknown[];
}

function charactersOf({ path, target = "", pieces = [] }: Row): number {
  return path.length + target.length + pieces.length * pieceCharacters;
}

function* cut<Entry extends Row>(entries: readonly Entry[]): Generator<readonly Entry[]> {
  let [from, characters] = [0, 0];
  for (const [index, entry] of entries.entries()) {
    characters += charactersOf(entry);
    const length = index + 1 - from;
    const mark = length >= shortestPart && crc32(entry.path) % shortestPart === 0;
    if (!mark && length < longestPart && characters < largestPart) continue;
    yield entries.slice(from, index + 1);
    [from, characters] = [index + 1, 0];
  }
  if (from < entries.length) yield entries.slice(from);
}

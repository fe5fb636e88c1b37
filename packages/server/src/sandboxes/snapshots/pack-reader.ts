/**
 * Chunks out of the blob store, in the order in which they are needed: the next packs are fetched while one is used. At
 * most four packs are held.
 * @module
 */
import { hash } from "node:crypto";
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { BlobError, type BlobStore } from "../../blobs/store.ts";
import type { Chunk, Pack } from "./manifest.ts";

const decompress = promisify(zstdDecompress);
const packsHeld = 4;
const packsAhead = 2;

export interface PackReader {
  /** @throws BlobError `damaged` when the content is not what the manifest says. */
  read(chunk: Chunk): Promise<Uint8Array>;
}

export interface PackReaderOptions {
  readonly blobs: BlobStore;
  readonly organizationId: string;
  /** As they will be needed. */
  readonly sequence: readonly Pack[];
}

export function createPackReader({ blobs, organizationId, sequence }: PackReaderOptions): PackReader {
  /** The one used last is the last. */
  const held = new Map<string, Promise<Uint8Array>>();
  let position = 0;

  const load = (pack: Pack): Promise<Uint8Array> => {
    const loading = held.get(pack.sha256) ?? loadPack(blobs, organizationId, pack);
    // Whoever reads it is told; until then nobody waits for it.
    loading.catch(() => undefined);
    held.delete(pack.sha256);
    held.set(pack.sha256, loading);
    for (const sha256 of held.keys()) {
      if (held.size <= packsHeld) break;
      held.delete(sha256);
    }
    return loading;
  };

  return {
    async read(chunk) {
      if (sequence[position + 1]?.sha256 === chunk.pack.sha256) position += 1;
      // Before the one that is needed now, so that it is the last to be let go.
      for (const pack of sequence.slice(position + 1, position + 1 + packsAhead).reverse()) void load(pack);
      const content = await load(chunk.pack);
      const bytes = content.subarray(chunk.offset, chunk.offset + chunk.length);
      if (hash("sha256", bytes, "hex") !== chunk.sha256) {
        throw new BlobError("damaged", `pack ${chunk.pack.sha256} holds another chunk than the manifest says`);
      }
      return bytes;
    },
  };
}

async function loadPack(blobs: BlobStore, organizationId: string, pack: Pack): Promise<Uint8Array> {
  const compressed = await blobs.get(organizationId, pack.sha256);
  const content = await decompress(compressed, {
    // One piece of output, with room left: a full one is followed by another, and both are copied into a third.
    chunkSize: pack.size + 64,
    maxOutputLength: pack.size,
  }).catch((error: unknown) => {
    throw new BlobError("damaged", `pack ${pack.sha256} cannot be decompressed: ${String(error)}`);
  });
  if (content.length !== pack.size) {
    throw new BlobError("damaged", `pack ${pack.sha256} holds ${content.length} bytes instead of ${pack.size}`);
  }
  return content;
}

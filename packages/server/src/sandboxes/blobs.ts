/**
 * Blobs: content-addressed bytes, keyed by organization, so that one organization can neither see nor probe what
 * another has stored.
 * @module
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { createZstdCompress, createZstdDecompress } from "node:zlib";

export interface StoredBlob {
  /** SHA-256 of the content, in hexadecimal. */
  readonly sha256: string;
  /** Bytes of the content, uncompressed. */
  readonly size: number;
}

export interface BlobStore {
  /** Reads the stream to its end. Storing the same content again changes nothing. */
  put(organizationId: string, content: ReadableStream<Uint8Array>): Promise<StoredBlob>;
  /** @throws Error when there is no such blob. */
  get(organizationId: string, sha256: string): Promise<ReadableStream<Uint8Array>>;
}

/** Blobs in a directory, compressed with Zstandard. A blob appears whole or not at all, also after a power loss. */
export function createDirectoryBlobStore(root: string): BlobStore {
  const pathOf = (organizationId: string, sha256: string): string => {
    if (!/^org_[0-9A-Z]{26}$/.test(organizationId) || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw new Error("not a blob's key");
    }
    return join(root, organizationId, sha256.slice(0, 2), `${sha256}.zst`);
  };
  return {
    async put(organizationId, content) {
      const temporary = join(root, "incoming", randomUUID());
      await mkdir(dirname(temporary), { recursive: true, mode: 0o700 });
      try {
        const stored = await writeCompressed(temporary, content);
        const path = pathOf(organizationId, stored.sha256);
        if (!(await exists(path))) {
          await mkdir(dirname(path), { recursive: true, mode: 0o700 });
          await rename(temporary, path);
        }
        return stored;
      } finally {
        await rm(temporary, { force: true });
      }
    },
    async get(organizationId, sha256) {
      const path = pathOf(organizationId, sha256);
      if (!(await exists(path))) throw new Error(`blob ${sha256} is missing from the store`);
      const decompress = createZstdDecompress();
      createReadStream(path)
        .on("error", (error) => decompress.destroy(error))
        .pipe(decompress);
      return Readable.toWeb(decompress) as ReadableStream<Uint8Array>;
    },
  };
}

async function writeCompressed(path: string, content: ReadableStream<Uint8Array>): Promise<StoredBlob> {
  const hash = createHash("sha256");
  let size = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      size += chunk.length;
      done(null, chunk);
    },
  });
  await pipeline(
    Readable.fromWeb(content as NodeReadableStream<Uint8Array>),
    measure,
    createZstdCompress(),
    createWriteStream(path, { mode: 0o600 }),
  );
  const file = await open(path, "r+");
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest("hex"), size };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

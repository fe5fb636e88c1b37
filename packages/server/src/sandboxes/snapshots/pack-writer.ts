/**
 * Content on its way into the blob store: cut into chunks, those that are stored already left away, the others packed,
 * compressed and stored, up to two packs at a time while the next one is filled, where there is room for them.
 * @module
 */
import { hash } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import type { BlobStore, StoredBlob } from "../../blobs/store.ts";
import {
  type Chunk,
  type Hole,
  isHole,
  maximumChunkBytes,
  maximumPackBytes,
  maximumPieces,
  type Pack,
} from "./manifest.ts";
import { createPackPlaces, type PackPlaces } from "./pack-places.ts";

const compress = promisify(zstdCompress);
const packsAtOnce = 2;

export interface PackWriter {
  /** Takes the bytes before it resolves: they may be changed then. */
  write(bytes: Uint8Array): Promise<void>;
  hole(bytes: number): void;
  /** The file written since the last end; of one with more pieces than {@link maximumPieces}, the first of them. */
  endFile(): readonly (Chunk | Hole)[];
  /** Forgets what was written since the last end. */
  dropFile(): void;
  /** Every pack is stored when it resolves; only then the chunks' packs have their keys. */
  finish(): Promise<readonly StoredBlob[]>;
}

export interface PackWriterOptions {
  readonly blobs: BlobStore;
  readonly organizationId: string;
  /** Chunks that need not be stored again, by checksum. Those that are written join them. */
  readonly known: Map<string, Chunk>;
  /** Default: two of its own. */
  readonly places?: PackPlaces;
}

/** Its key is known once it is stored. */
interface OpenPack {
  sha256: string;
  size: number;
  storedSize: number;
}

export function createPackWriter(options: PackWriterOptions): PackWriter {
  return new Writer(options);
}

class Writer implements PackWriter {
  readonly #store: (content: Uint8Array) => Promise<StoredBlob>;
  readonly #known: Map<string, Chunk>;
  readonly #places: PackPlaces;
  readonly #stored: StoredBlob[] = [];
  readonly #storing = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | null = null;
  #buffer: Buffer;
  #pack: OpenPack = { sha256: "", size: 0, storedSize: 0 };
  /** Bytes of the buffer that closed chunks take. */
  #closed = 0;
  /** Bytes of the chunk that is being filled, behind them. */
  #pending = 0;
  #pieces: (Chunk | Hole)[] = [];

  constructor({ blobs, organizationId, known, places }: PackWriterOptions) {
    this.#store = (content) => blobs.put(organizationId, content);
    this.#known = known;
    this.#places = places ?? createPackPlaces(packsAtOnce);
    this.#buffer = this.#places.takeBuffer();
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let taken = 0; taken < bytes.length;) {
      if (this.#pending === maximumChunkBytes) this.#closeChunk();
      if (this.#closed + this.#pending === maximumPackBytes) await this.#seal();
      const used = this.#closed + this.#pending;
      const room = Math.min(maximumChunkBytes - this.#pending, maximumPackBytes - used, bytes.length - taken);
      this.#buffer.set(bytes.subarray(taken, taken + room), used);
      this.#pending += room;
      taken += room;
    }
  }

  hole(bytes: number): void {
    this.#closeChunk();
    const last = this.#pieces.at(-1);
    if (last !== undefined && isHole(last))
      this.#pieces[this.#pieces.length - 1] = { holeBytes: last.holeBytes + bytes };
    else if (bytes > 0 && !this.#isTooMany()) this.#pieces.push({ holeBytes: bytes });
  }

  endFile(): readonly (Chunk | Hole)[] {
    this.#closeChunk();
    // Without the room that an array keeps to grow: there may be a million.
    const pieces = this.#pieces.slice();
    this.#pieces.length = 0;
    return pieces;
  }

  dropFile(): void {
    this.#pending = 0;
    this.#pieces = [];
  }

  async finish(): Promise<readonly StoredBlob[]> {
    if (this.#closed > 0) await this.#seal();
    await Promise.all(this.#storing);
    this.#places.giveBack(this.#buffer);
    this.#rethrow();
    return this.#stored;
  }

  #closeChunk(): void {
    if (this.#pending === 0) return;
    // Nobody will ask for the file's content.
    if (this.#isTooMany()) return void (this.#pending = 0);
    const offset = this.#closed;
    const length = this.#pending;
    const sha256 = hash("sha256", this.#buffer.subarray(offset, offset + length), "hex");
    this.#pending = 0;
    let chunk = this.#known.get(sha256);
    if (chunk === undefined) {
      chunk = { sha256, pack: this.#pack, offset, length };
      this.#known.set(sha256, chunk);
      this.#closed += length;
    }
    this.#pieces.push(chunk);
  }

  #isTooMany(): boolean {
    return this.#pieces.length > maximumPieces;
  }

  /** The chunk that is being filled moves to the next pack. */
  async #seal(): Promise<void> {
    while (this.#storing.size >= packsAtOnce) await Promise.race(this.#storing);
    this.#rethrow();
    if (this.#closed > 0) await this.#places.enter();
    const [buffer, pack, size, pending] = [this.#buffer, this.#pack, this.#closed, this.#pending];
    this.#buffer = this.#places.takeBuffer();
    buffer.copy(this.#buffer, 0, size, size + pending);
    this.#pack = { sha256: "", size: 0, storedSize: 0 };
    this.#closed = 0;
    if (size === 0) return this.#places.giveBack(buffer);
    const storing: Promise<void> = this.#storePack(pack, buffer, size)
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => {
        this.#storing.delete(storing);
        this.#places.leave();
      });
    this.#storing.add(storing);
  }

  async #storePack(pack: OpenPack, buffer: Buffer, size: number): Promise<void> {
    const compressed = await compress(buffer.subarray(0, size), {
      // One piece of output: the default of 16 KiB makes it five times slower.
      chunkSize: size + 65_536,
      params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
    });
    this.#places.giveBack(buffer);
    const stored = await this.#store(compressed);
    Object.assign(pack, { sha256: stored.sha256, size, storedSize: stored.size } satisfies Pack);
    this.#stored.push(stored);
  }

  #rethrow(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}

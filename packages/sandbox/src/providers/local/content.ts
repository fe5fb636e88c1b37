/** What is in files of a local sandbox, read and written with sizes and checksums verified. @module */
import { crc32 } from "node:zlib";
import { SandboxFileError } from "../../errors.ts";
import type { FetchedPart, FilePiece, SandboxSession } from "../../session.ts";
import { ChannelLostError, type Channels, readFrame, toFileError } from "./channels.ts";
import type { FrameConnection } from "./connection.ts";
import { encodePath, resolvePath } from "./files.ts";
import { type Frame, chunkBytes, frameTypes } from "./frames.ts";
import { placeEntries, writeContent } from "./placing.ts";

type ContentOperations = Pick<
  SandboxSession,
  "readFile" | "readBinaryFile" | "writeFile" | "writeBinaryFile" | "fetchFiles" | "placeEntries"
>;

/** Of a file's mode. Who serves us is the owner, and reads any file. */
const ownerMayRead = 0o400;
/** What `readBinaryFile` takes into memory unless told otherwise. */
const defaultMaximumBytes = 256 << 20;
const attempts = 4;
/** Requests for files that are asked before the first is answered. */
const requestsAhead = 256;
const zeros = new Uint8Array(chunkBytes);

/** Where a file is that can be read. Null: there is none. @throws SandboxFileError */
async function findFile(
  channels: Channels,
  path: string,
): Promise<{ readonly location: Buffer; readonly size: number } | null> {
  const { location, found } = await resolvePath(channels, path);
  if (found === null) return null;
  if (found.kind === "file" && (found.mode & ownerMayRead) === 0)
    throw new SandboxFileError("no_permission", path, `${path}: may not be read`);
  if (found.kind === "file") return { location, size: found.size };
  const code = found.kind === "directory" ? "is_directory" : "not_regular";
  throw new SandboxFileError(code, path, `${path}: is not a regular file`);
}

class VanishedError extends Error {}

/** One file's answer: its pieces, and at its end whether they are what the sandbox announced. */
class Content {
  size = 0;
  #checksum = 0;

  /** Null: it is whole. @throws SandboxFileError when it is not. */
  take(frame: Frame, path: string): FilePiece | null {
    const { type, payload } = frame;
    if (type === frameTypes.data) {
      this.#checksum = crc32(payload, this.#checksum);
      this.size += payload.length;
      return payload;
    }
    if (type === frameTypes.hole && payload.length === 8) {
      this.#checksum = crc32(payload, this.#checksum);
      const holeBytes = Number(payload.readBigUInt64LE(0));
      this.size += holeBytes;
      return { holeBytes };
    }
    if (type === frameTypes.error) throw toFileError(payload, path) ?? new VanishedError();
    if (type !== frameTypes.end || payload.length !== 12) {
      throw new ChannelLostError(`the sandbox answered with a frame of type ${type}`);
    }
    const announced = Number(payload.readBigUInt64LE(0));
    if (announced === this.size && payload.readUInt32LE(8) === this.#checksum) return null;
    throw new SandboxFileError("failed", path, `${path}: size or checksum are not as the sandbox announced`);
  }
}

function* expand(piece: FilePiece): Generator<Uint8Array> {
  if (piece instanceof Uint8Array) return void (yield piece);
  for (let left = piece.holeBytes; left > 0; left -= chunkBytes) yield zeros.slice(0, Math.min(left, chunkBytes));
}

/** A stream that holds its channel until it ends or is cancelled. Null: it does not exist. */
async function openRead(channels: Channels, path: string): Promise<ReadableStream<Uint8Array> | null> {
  const file = await findFile(channels, path);
  if (file === null) return null;
  const channel = await channels.acquire();
  const content = new Content();
  const next = async (): Promise<FilePiece | null> => {
    try {
      const piece = content.take(await readFrame(channel), path);
      if (piece === null) channels.release(channel);
      return piece;
    } catch (error) {
      channels.discard(channel);
      throw error;
    }
  };
  await channel.write(frameTypes.read, file.location);
  let piece: FilePiece | null;
  try {
    piece = await next();
  } catch (error) {
    if (error instanceof VanishedError) return null;
    throw error;
  }
  let ended = piece === null;
  const parts = (async function* () {
    for (; piece !== null; piece = await next()) yield* expand(piece);
    ended = true;
  })();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await parts.next().catch((error: unknown) => {
          ended = true;
          throw error;
        });
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel() {
        if (!ended) channels.discard(channel);
      },
    },
    { highWaterMark: 0 },
  );
}

async function readWhole(channels: Channels, path: string, maximumBytes: number): Promise<Uint8Array | null> {
  const file = await findFile(channels, path);
  if (file === null) return null;
  const tooLarge = new SandboxFileError("too_large", path, `${path}: larger than ${maximumBytes} bytes`);
  if (file.size > maximumBytes) throw tooLarge;
  return channels.perform(async (channel) => {
    await channel.write(frameTypes.read, file.location);
    const content = new Content();
    const pieces: Uint8Array[] = [];
    try {
      for (;;) {
        const piece = content.take(await readFrame(channel), path);
        if (content.size > maximumBytes) throw tooLarge;
        if (piece === null) return join(pieces, content.size);
        pieces.push(piece instanceof Uint8Array ? piece : new Uint8Array(piece.holeBytes));
      }
    } catch (error) {
      if (error instanceof VanishedError) return null;
      // What still comes of it is nobody's answer.
      if (error === tooLarge) channel.close();
      throw error;
    }
  });
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const refusals: Readonly<Record<string, "not_regular" | "no_permission">> = {
  is_directory: "not_regular",
  not_regular: "not_regular",
  no_permission: "no_permission",
};

async function* readFetched(channel: FrameConnection, path: string): AsyncGenerator<FetchedPart> {
  const content = new Content();
  for (let begun = false; ; begun = true) {
    const frame = await readFrame(channel);
    let piece: FilePiece | null;
    try {
      piece = content.take(frame, path);
    } catch (error) {
      if (error instanceof VanishedError) return void (yield { type: "refused", path, reason: "absent" });
      if (!(error instanceof SandboxFileError)) throw error;
      return void (yield { type: "refused", path, reason: refusals[error.code] ?? "failed" });
    }
    if (!begun) yield { type: "file", path };
    if (piece === null) return void (yield { type: "end", size: content.size });
    yield { type: "piece", piece };
  }
}

async function* fetchFiles(channels: Channels, paths: readonly string[]): AsyncGenerator<FetchedPart> {
  if (paths.length === 0) return;
  const requests = paths.map((path) => encodePath(channels, path));
  const channel = await channels.acquire();
  let asked = 0;
  let finished = false;
  try {
    for (const [index, path] of paths.entries()) {
      if (asked - index < requestsAhead / 2) {
        for (const request of requests.slice(asked, index + requestsAhead))
          void channel.write(frameTypes.read, request);
        asked = Math.min(index + requestsAhead, requests.length);
      }
      yield* readFetched(channel, path);
    }
    finished = true;
  } finally {
    if (finished) channels.release(channel);
    else channels.discard(channel);
  }
}

export function createContentOperations(channels: Channels): ContentOperations {
  return {
    async readFile({ path }) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await openRead(channels, path);
        } catch (error) {
          if (!(error instanceof ChannelLostError) || attempt >= attempts) throw error;
        }
      }
    },
    readBinaryFile: ({ path, maximumBytes = defaultMaximumBytes }) => readWhole(channels, path, maximumBytes),
    writeFile: ({ path, content, mode }) => writeContent(channels, path, mode, content),
    writeBinaryFile: ({ path, content, mode }) => writeContent(channels, path, mode, content),
    fetchFiles: ({ paths }) => fetchFiles(channels, paths),
    placeEntries: ({ entries }) => placeEntries(channels, entries),
  };
}

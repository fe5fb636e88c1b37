/** What is in files of a local sandbox, read and written with sizes and checksums verified. @module */
import { crc32 } from "node:zlib";
import { SandboxFileError } from "../../errors.ts";
import type { FetchedPart, FilePiece, PlacedEntry, SandboxSession } from "../../session.ts";
import { ChannelLostError, type Channels, readAnswer, readFrame, toFileError } from "./channels.ts";
import type { FrameConnection } from "./connection.ts";
import { encodePath } from "./files.ts";
import { type Frame, chunkBytes, encodeNumber, encodeString, frameTypes } from "./frames.ts";

type ContentOperations = Pick<
  SandboxSession,
  "readFile" | "readBinaryFile" | "writeFile" | "writeBinaryFile" | "fetchFiles" | "placeEntries"
>;

const noLimit = (1n << 64n) - 1n;
const keepMode = 0xffffffff;
const keepTime = (1n << 64n) - 1n;
const entryKinds = { file: 1, directory: 2, symlink: 3 } as const;
/** What `readBinaryFile` takes into memory unless told otherwise. */
const defaultMaximumBytes = 256 << 20;
const attempts = 4;
/** Requests for files that are asked before the first is answered. */
const requestsAhead = 256;
const zeros = new Uint8Array(chunkBytes);

function encodeRead(channels: Channels, path: string, exact: boolean, maximum: number | bigint): Buffer[] {
  return [encodeNumber(exact ? 1 : 0, 1), encodeNumber(maximum, 8), encodePath(channels, path)];
}

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
    if (type === frameTypes.error) throw toFileError(payload, path);
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

/** Starts a read and answers null, or a stream that holds its channel until it ends or is cancelled. */
async function openRead(channels: Channels, path: string): Promise<ReadableStream<Uint8Array> | null> {
  const request = encodeRead(channels, path, false, noLimit);
  const channel = await channels.acquire();
  const content = new Content();
  const next = async (): Promise<FilePiece | null | "absent"> => {
    try {
      const frame = await readFrame(channel);
      const piece = frame.type === frameTypes.absent ? "absent" : content.take(frame, path);
      if (piece === null || piece === "absent") channels.release(channel);
      return piece;
    } catch (error) {
      channels.discard(channel);
      throw error;
    }
  };
  await channel.write(frameTypes.read, ...request);
  const opening = await next();
  if (opening === "absent") return null;
  let ended = opening === null;
  const parts = (async function* () {
    for (let piece: FilePiece | null | "absent" = opening; piece !== null && piece !== "absent"; piece = await next())
      yield* expand(piece);
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
  const request = encodeRead(channels, path, false, maximumBytes);
  return channels.perform(async (channel) => {
    await channel.write(frameTypes.read, ...request);
    const content = new Content();
    const pieces: Uint8Array[] = [];
    for (;;) {
      const frame = await readFrame(channel);
      if (frame.type === frameTypes.absent) return null;
      const piece = content.take(frame, path);
      if (piece === null) return join(pieces, content.size);
      if (content.size > maximumBytes) throw new ChannelLostError("the sandbox sent more than it was asked for");
      pieces.push(piece instanceof Uint8Array ? piece : new Uint8Array(piece.holeBytes));
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

/** Sends pieces and the size and checksum of them all. */
async function sendContent(
  channel: FrameConnection,
  pieces: Iterable<FilePiece> | AsyncIterable<FilePiece>,
): Promise<void> {
  let size = 0;
  let checksum = 0;
  const send = (type: number, payload: Uint8Array): Promise<void> => {
    checksum = crc32(payload, checksum);
    return channel.write(type, payload);
  };
  for await (const piece of pieces) {
    if (!(piece instanceof Uint8Array)) {
      await send(frameTypes.hole, encodeNumber(piece.holeBytes, 8));
      size += piece.holeBytes;
      continue;
    }
    for (let at = 0; at < piece.length; at += chunkBytes)
      await send(frameTypes.data, piece.subarray(at, at + chunkBytes));
    size += piece.length;
  }
  await channel.write(frameTypes.end, encodeNumber(size, 8), encodeNumber(checksum, 4));
}

function encodePlace(channels: Channels, entry: PlacedEntry): Buffer[] {
  const mode = entry.kind === "symlink" ? 0 : entry.mode;
  const modifiedAt =
    entry.kind === "file" && entry.modifiedAt !== undefined ? Math.max(0, Math.floor(entry.modifiedAt)) : keepTime;
  return [
    encodeNumber(entryKinds[entry.kind], 1),
    encodeNumber(1, 1),
    encodeNumber(mode, 4),
    encodeNumber(modifiedAt, 8),
    encodePath(channels, entry.path),
    encodeString(entry.kind === "symlink" ? entry.target : ""),
  ];
}

function encodeWrite(channels: Channels, path: string, mode: number | undefined): Buffer[] {
  return [
    encodeNumber(entryKinds.file, 1),
    encodeNumber(0, 1),
    encodeNumber(mode ?? keepMode, 4),
    encodeNumber(keepTime, 8),
    encodePath(channels, path),
    encodeString(""),
  ];
}

/** @throws SandboxFileError */
async function readPlaced(channel: FrameConnection, path: string): Promise<void> {
  const answer = await readAnswer(channel, path);
  if (answer === null) throw new SandboxFileError("failed", path, `${path}: the directory vanished`);
}

/** Answers come while later entries are still sent. */
async function placeEntries(
  channels: Channels,
  entries: Iterable<PlacedEntry> | AsyncIterable<PlacedEntry>,
): Promise<void> {
  const channel = await channels.acquire();
  const sent: string[] = [];
  let allSent = false;
  let failure: unknown = null;
  let wake: (() => void) | null = null;
  const receive = async (): Promise<void> => {
    for (let at = 0; ; at++) {
      while (at >= sent.length && !allSent) await new Promise<void>((resolve) => (wake = resolve));
      const path = sent[at];
      if (path === undefined) return;
      await readPlaced(channel, path);
    }
  };
  const receiving = receive().catch((error: unknown) => {
    failure ??= error;
  });
  try {
    for await (const entry of entries) {
      if (failure !== null) break;
      await channel.write(frameTypes.place, ...encodePlace(channels, entry));
      if (entry.kind === "file") {
        await sendContent(channel, entry.content instanceof Uint8Array ? [entry.content] : entry.content);
      }
      sent.push(entry.path);
      (wake as (() => void) | null)?.();
    }
  } catch (error) {
    failure ??= error;
  }
  allSent = true;
  (wake as (() => void) | null)?.();
  if (failure !== null) channel.close();
  await receiving;
  if (failure === null) return channels.release(channel);
  channels.discard(channel);
  throw failure;
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
    if (frame.type === frameTypes.absent) return void (yield { type: "refused", path, reason: "absent" });
    let piece: FilePiece | null;
    try {
      piece = content.take(frame, path);
    } catch (error) {
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
  const requests = paths.map((path) => encodeRead(channels, path, true, noLimit));
  const channel = await channels.acquire();
  let asked = 0;
  let finished = false;
  try {
    for (const [index, path] of paths.entries()) {
      if (asked - index < requestsAhead / 2) {
        for (const request of requests.slice(asked, index + requestsAhead))
          void channel.write(frameTypes.read, ...request);
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
  const write = async (
    path: string,
    mode: number | undefined,
    content: AsyncIterable<Uint8Array> | Uint8Array[],
  ): Promise<void> => {
    const request = encodeWrite(channels, path, mode);
    const once = async (channel: FrameConnection): Promise<void> => {
      await channel.write(frameTypes.place, ...request);
      await sendContent(channel, content);
      await readPlaced(channel, path);
    };
    if (Array.isArray(content)) return channels.perform(once);
    const channel = await channels.acquire();
    try {
      await once(channel);
    } catch (error) {
      if (error instanceof SandboxFileError) channels.release(channel);
      else channels.discard(channel);
      throw error;
    }
    channels.release(channel);
  };
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
    writeFile: ({ path, content, mode }) => write(path, mode, content),
    writeBinaryFile: ({ path, content, mode }) => write(path, mode, [content]),
    fetchFiles: ({ paths }) => fetchFiles(channels, paths),
    placeEntries: ({ entries }) => placeEntries(channels, entries),
  };
}

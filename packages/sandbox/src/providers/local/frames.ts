/**
 * The binary frames that provider, host daemon and supervisor exchange: u32 little-endian length of what follows, u8
 * type, payload. The guest's `frames.h` is the other half of this file.
 * @module
 */

/** A longer frame is a broken or hostile peer. */
export const maximumFrameBytes = 1 << 20;
/** Bytes of a stream that travel in one frame. */
export const chunkBytes = 256 << 10;
export const protocolVersion = 3;

/**
 * What they carry: numbers, little-endian, then NUL-terminated strings. Paths are absolute. An operation ends with `end`,
 * or with `error`: i32 errno of Linux.
 */
export const frameTypes = {
  /** u8 flags, u32 timeout in ms (0: none), u16 rows, u16 columns, u64 offset of the output, command identifier, directory, command, NAME=value … → started, output …, exit */
  spawn: 1,
  /** → started; from then on the connection takes the requests from `read` to `connect`, and no others */
  transfer: 2,
  /** command identifier, bytes (none: the end) → end, once the command has room for them */
  stdin: 3,
  /** u8 action, u16, u16, command identifier → end */
  control: 4,
  /** path → data or hole …, end */
  read: 5,
  /** u8 kind, u32 mode, i64 mtime in ms (-1: now), path, link target; for a file then data or hole … end */
  place: 6,
  /** u32 maximum entries, u32 depth, path → data … (entries), end */
  scan: 7,
  /** path of anything but a directory */
  delete: 8,
  /** u16 port → started, then the connection carries the port's bytes */
  connect: 10,
  /** → end (command-list.ts) */
  commands: 11,
  /** By signals, only where no cgroup can do it. */
  suspend: 12,
  resume: 13,
  shutdown: 14,
  data: 15,
  /** Of a file's content: u64 size, u32 CRC-32 over the payloads of its data and hole frames. */
  end: 16,
  /** u64 bytes that are zeros and take no room */
  hole: 17,
  /** u32 protocol version */
  hello: 32,
  /** u64 offset in all output, u8 stream (1 stdout, 2 stderr), bytes: what no frame has is lost */
  output: 33,
  /** of the command, as in the list of commands */
  exit: 34,
  error: 37,
  started: 39,
  /** Between provider and daemon: JSON. */
  hostRequest: 64,
  hostReply: 65,
} as const;

export const spawnFlags = { maintenance: 1, stdin: 2, terminal: 4, joinOnly: 8 } as const;

export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

/** A frame that broke the rules; the connection it came from is of no further use. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** What goes before the parts. @throws FrameError when the payload does not fit into a frame. */
export function encodeHeader(type: number, parts: readonly Uint8Array[]): Buffer {
  let length = 1;
  for (const part of parts) length += part.length;
  if (length > maximumFrameBytes)
    throw new FrameError(`a frame of ${length} bytes is longer than ${maximumFrameBytes}`);
  const header = Buffer.allocUnsafe(5);
  header.writeUInt32LE(length, 0);
  header.writeUInt8(type, 4);
  return header;
}

/** @throws FrameError when the payload does not fit into a frame. */
export function encodeFrame(type: number, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([encodeHeader(type, parts), ...parts]);
}

/** A NUL-terminated string. @throws FrameError when it contains NUL. */
export function encodeString(text: string): Buffer {
  if (text.includes("\0")) throw new FrameError("a string contains NUL");
  return Buffer.from(`${text}\0`, "utf8");
}

export function encodeNumber(value: number | bigint, bytes: 1 | 2 | 4 | 8): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value));
  else buffer.writeUIntLE(Number(value), 0, bytes);
  return buffer;
}

const headerBytes = 5;

/** Cuts a byte stream into frames, however it was torn. Copies what it is given, which may be used again. */
export class FrameDecoder {
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  /** Of the frame whose header is whole; filled up to `#filled`. */
  #payload: Buffer | null = null;
  #filled = 0;
  #last: number | null = null;
  /** What came after the last frame. Null: it may still come. */
  #beyond: Buffer[] | null = null;

  /** After a frame of this type there is none. Null: there may always be another one. */
  endAfter(type: number | null): void {
    this.#last = type;
  }

  /** @throws FrameError at a length no frame may have. */
  push(bytes: Uint8Array): Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length;) {
      if (this.#beyond !== null) {
        this.#beyond.push(Buffer.from(bytes.subarray(at)));
        return frames;
      }
      if (this.#payload === null) {
        at += this.#takeHeader(bytes, at);
      } else {
        const part = bytes.subarray(at, at + this.#payload.length - this.#filled);
        this.#payload.set(part, this.#filled);
        this.#filled += part.length;
        at += part.length;
      }
      if (this.#payload === null || this.#filled < this.#payload.length) continue;
      const type = this.#header.readUInt8(4);
      frames.push({ type, payload: this.#payload });
      if (type === this.#last) this.#beyond = [];
      this.#payload = null;
      this.#headerFilled = 0;
    }
    return frames;
  }

  /** What was received and is not part of a whole frame. */
  rest(): Buffer {
    return Buffer.concat([
      this.#header.subarray(0, this.#headerFilled),
      ...(this.#payload === null ? [] : [this.#payload.subarray(0, this.#filled)]),
      ...(this.#beyond ?? []),
    ]);
  }

  /** How many bytes of `bytes` belong to it. */
  #takeHeader(bytes: Uint8Array, at: number): number {
    const part = bytes.subarray(at, at + headerBytes - this.#headerFilled);
    this.#header.set(part, this.#headerFilled);
    this.#headerFilled += part.length;
    if (this.#headerFilled >= 4) {
      const length = this.#header.readUInt32LE(0);
      if (length < 1 || length > maximumFrameBytes) throw new FrameError(`a frame may not have ${length} bytes`);
      if (this.#headerFilled === headerBytes) this.#payload = Buffer.allocUnsafe(length - 1);
      this.#filled = 0;
    }
    return part.length;
  }
}

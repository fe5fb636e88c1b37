/** Frames over a UNIX socket, pulled by the reader: a slow reader slows the sender down. @module */
import { connect, type Socket } from "node:net";
import { type Frame, FrameDecoder, encodeFrame, encodeHeader } from "./frames.ts";

const highWaterBytes = 1 << 20;
/** What a frame takes beside its payload, which may be a single byte. */
const frameOverheadBytes = 256;
/** Up to here copying a frame costs less than writing it piece by piece. */
const joinedBytes = 16 << 10;
/**
 * What any socket has just read. Each read is taken out of it before the next one: a buffer for each would be garbage at
 * once, and the engine lets tens of megabytes of that gather.
 */
const justRead = Buffer.allocUnsafeSlow(64 << 10);

export type OutgoingFrame = readonly [type: number, ...parts: readonly Uint8Array[]];

export interface FrameConnection {
  /** The next frame; null once the peer has closed or broken the protocol. */
  read(): Promise<Frame | null>;
  /** Resolves when the socket takes more; the parts may not change before they are answered. A closed socket swallows what is sent: `read` tells. */
  write(type: number, ...parts: readonly Uint8Array[]): Promise<void>;
  /** Several frames as one: `[type, ...parts]` of each. */
  writeFrames(frames: readonly OutgoingFrame[]): Promise<void>;
  readonly closed: boolean;
  close(): void;
  onClose(listener: () => void): void;
  /** What comes after a frame of this type is no frame, but for whoever detaches the socket. Null: everything is. */
  endAfter(type: number | null): void;
  /** Gives the socket up, with what it received beyond the frames read. */
  detach(): { readonly socket: Socket; readonly rest: Buffer };
}

class SocketConnection implements FrameConnection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #frames: Frame[] = [];
  readonly #listeners: (() => void)[] = [];
  #queuedBytes = 0;
  #closed = false;
  #wakeReader: (() => void) | null = null;
  #detached = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("end", () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#end());
  }

  get closed(): boolean {
    return this.#closed;
  }

  async read(): Promise<Frame | null> {
    while (this.#frames.length === 0) {
      if (this.#closed) return null;
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
      this.#wakeReader = null;
    }
    const frame = this.#frames.shift() ?? null;
    this.#queuedBytes -= frame === null ? 0 : frame.payload.length + frameOverheadBytes;
    if (this.#queuedBytes <= highWaterBytes && this.#socket.isPaused()) this.#socket.resume();
    return frame;
  }

  write(type: number, ...parts: readonly Uint8Array[]): Promise<void> {
    return this.writeFrames([[type, ...parts]]);
  }

  async writeFrames(frames: readonly OutgoingFrame[]): Promise<void> {
    const socket = this.#socket;
    if (this.#closed || !socket.writable) return;
    socket.cork();
    for (const [type, ...parts] of frames) {
      const header = encodeHeader(type, parts);
      const pieces = header.readUInt32LE(0) > joinedBytes ? [header, ...parts] : [Buffer.concat([header, ...parts])];
      for (const piece of pieces) if (piece.length > 0) socket.write(piece);
    }
    socket.uncork();
    if (socket.writableLength > highWaterBytes) await this.#drained();
  }

  #drained(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off("drain", done);
        socket.off("close", done);
        resolve();
      };
      socket.on("drain", done);
      socket.on("close", done);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  onClose(listener: () => void): void {
    if (this.#closed) listener();
    else this.#listeners.push(listener);
  }

  endAfter(type: number | null): void {
    this.#decoder.endAfter(type);
  }

  detach(): { readonly socket: Socket; readonly rest: Buffer } {
    this.#detached = true;
    this.#socket.pause();
    const unread = this.#frames.map((frame) => encodeFrame(frame.type, frame.payload));
    return { socket: this.#socket, rest: Buffer.concat([...unread, this.#decoder.rest()]) };
  }

  /** False: no more for now. */
  receive(bytes: Uint8Array): boolean {
    if (this.#detached) return this.#socket.push(Buffer.from(bytes));
    try {
      for (const frame of this.#decoder.push(bytes)) {
        this.#frames.push(frame);
        this.#queuedBytes += frame.payload.length + frameOverheadBytes;
      }
    } catch {
      this.#socket.destroy();
    }
    if (this.#queuedBytes > highWaterBytes) this.#socket.pause();
    if (this.#frames.length > 0) this.#wakeReader?.();
    return !this.#socket.isPaused();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wakeReader?.();
    for (const listener of this.#listeners) listener();
  }
}

/** @throws the socket's error (ENOENT, ECONNREFUSED, EACCES …). */
export function connectFrames(path: string): Promise<FrameConnection> {
  return new Promise((resolve, reject) => {
    let connection: SocketConnection | null = null;
    const callback = (count: number, buffer: Uint8Array): boolean =>
      connection?.receive(buffer.subarray(0, count)) ?? true;
    const socket = connect({ path, onread: { buffer: justRead, callback } });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve((connection = new SocketConnection(socket)));
    });
  });
}

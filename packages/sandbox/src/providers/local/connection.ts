/** Frames over a UNIX socket, pulled by the reader: a slow reader slows the sender down. @module */
import { connect, type Socket } from "node:net";
import { type Frame, FrameDecoder, encodeFrame } from "./frames.ts";

const highWaterBytes = 256 << 10;

export interface FrameConnection {
  /** The next frame; null once the peer has closed or broken the protocol. */
  read(): Promise<Frame | null>;
  /** Resolves when the socket takes more. A closed socket swallows what is sent: `read` tells. */
  write(type: number, ...parts: readonly Uint8Array[]): Promise<void>;
  readonly closed: boolean;
  close(): void;
  onClose(listener: () => void): void;
  /** Gives the socket up, with what it received beyond the frames read. */
  detach(): { readonly socket: Socket; readonly rest: Buffer };
}

export function frameConnection(socket: Socket): FrameConnection {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  let queuedBytes = 0;
  let closed = false;
  let wakeReader: (() => void) | null = null;
  const listeners: (() => void)[] = [];
  const end = (): void => {
    if (closed) return;
    closed = true;
    wakeReader?.();
    for (const listener of listeners) listener();
  };
  const onData = (bytes: Buffer): void => {
    try {
      for (const frame of decoder.push(bytes)) {
        frames.push(frame);
        queuedBytes += frame.payload.length;
      }
    } catch {
      socket.destroy();
    }
    if (queuedBytes > highWaterBytes) socket.pause();
    if (frames.length > 0) wakeReader?.();
  };
  socket.on("data", onData);
  socket.on("end", () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("close", end);
  return {
    async read() {
      while (frames.length === 0) {
        if (closed) return null;
        await new Promise<void>((resolve) => (wakeReader = resolve));
        wakeReader = null;
      }
      const frame = frames.shift() ?? null;
      queuedBytes -= frame?.payload.length ?? 0;
      if (queuedBytes <= highWaterBytes && socket.isPaused()) socket.resume();
      return frame;
    },
    async write(type, ...parts) {
      const bytes = encodeFrame(type, ...parts);
      if (closed || !socket.writable || socket.write(bytes)) return;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          socket.off("drain", done);
          socket.off("close", done);
          resolve();
        };
        socket.on("drain", done);
        socket.on("close", done);
      });
    },
    get closed() {
      return closed;
    },
    close: () => void socket.destroy(),
    onClose: (listener) => void (closed ? listener() : listeners.push(listener)),
    detach() {
      socket.off("data", onData);
      socket.pause();
      const unread = frames.map((frame) => encodeFrame(frame.type, frame.payload));
      return { socket, rest: Buffer.concat([...unread, decoder.rest()]) };
    },
  };
}

/** @throws the socket's error (ENOENT, ECONNREFUSED, EACCES …). */
export function connectFrames(path: string): Promise<FrameConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(frameConnection(socket));
    });
  });
}

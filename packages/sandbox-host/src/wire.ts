/**
 * The daemon's end of every connection: frames as in the provider's frames.ts, u32 little-endian length of what follows,
 * u8 type, payload. Small, for it faces clients and supervisors with all privileges; they may be hostile.
 * @module
 */
import { once } from "node:events";
import { type Socket, connect } from "node:net";

const mostBytes = 1 << 20;

/** What the daemon says and understands. */
export const wireTypes = {
  commands: 11,
  suspend: 12,
  resume: 13,
  shutdown: 14,
  end: 16,
  hello: 32,
  request: 64,
  reply: 65,
} as const;

export interface WireFrame {
  readonly type: number;
  readonly payload: Buffer;
}

export class Wire {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer, undefined>;
  #received: Buffer = Buffer.alloc(0);
  closed = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => (this.closed = true));
  }

  /** The next frame; null once the peer has closed or broken the rules. The peer is read no faster than this is called. */
  async read(): Promise<WireFrame | null> {
    try {
      const length = (await this.#take(4)).readUInt32LE(0);
      if (length < 1 || length > mostBytes) throw new Error(`a frame of ${length} bytes`);
      const frame = await this.#take(length);
      return { type: frame.readUInt8(0), payload: frame.subarray(1) };
    } catch {
      this.close();
      return null;
    }
  }

  /** Resolves when the peer takes more, or is gone: `read` tells. */
  async write(type: number, payload: Uint8Array = Buffer.alloc(0)): Promise<void> {
    const head = Buffer.alloc(5);
    head.writeUInt32LE(payload.length + 1, 0);
    head.writeUInt8(type, 4);
    if (this.closed || this.#socket.write(Buffer.concat([head, payload]))) return;
    await Promise.race([once(this.#socket, "drain"), once(this.#socket, "close")]).catch(() => {});
  }

  close(): void {
    this.closed = true;
    this.#socket.destroy();
  }

  async #take(count: number): Promise<Buffer> {
    while (this.#received.length < count) {
      const next = await this.#chunks.next();
      if (next.done === true) throw new Error("the peer has closed");
      this.#received = Buffer.concat([this.#received, next.value]);
    }
    const taken = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return taken;
  }
}

/** @throws the socket's error (ENOENT, ECONNREFUSED …). */
export async function connectWire(path: string): Promise<Wire> {
  const socket = connect(path);
  await once(socket, "connect");
  return new Wire(socket);
}

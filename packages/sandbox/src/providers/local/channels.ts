/** Connections to one sandbox's supervisor, kept and used again. One operation at a time on each. @module */
import { SandboxFileError, type SandboxFileErrorCode } from "../../errors.ts";
import type { FrameConnection } from "./connection.ts";
import { type Frame, frameTypes } from "./frames.ts";
import type { HostClient } from "./host-client.ts";

/** Below the supervisor's own limit, so that a second provider finds room. */
const maximumChannels = 32;
const maximumIdle = 8;
const attempts = 4;

/** The connection broke in the middle of an operation. Never leaves the provider. */
export class ChannelLostError extends Error {
  override readonly name = "ChannelLostError";
}

export interface Channels {
  readonly sandboxId: string;
  acquire(): Promise<FrameConnection>;
  /** Gives back a channel on which the last operation was answered to its end. */
  release(channel: FrameConnection): void;
  discard(channel: FrameConnection): void;
  /**
   * Runs an operation that may be repeated from its start when the connection breaks.
   * @throws SandboxGoneError, SandboxFileError, SandboxUnavailableError.
   */
  perform<T>(operation: (channel: FrameConnection) => Promise<T>): Promise<T>;
  close(): void;
}

export function createChannels(host: HostClient, sandboxId: string): Channels {
  const idle: FrameConnection[] = [];
  const waiting: (() => void)[] = [];
  let inUse = 0;
  const leave = (): void => {
    inUse--;
    waiting.shift()?.();
  };
  const channels: Channels = {
    sandboxId,
    async acquire() {
      while (inUse >= maximumChannels) await new Promise<void>((resolve) => waiting.push(resolve));
      inUse++;
      for (let channel = idle.pop(); channel !== undefined; channel = idle.pop()) {
        if (!channel.closed) return channel;
      }
      try {
        return await host.openChannel(sandboxId);
      } catch (error) {
        leave();
        throw error;
      }
    },
    release(channel) {
      if (channel.closed || idle.length >= maximumIdle) channel.close();
      else idle.push(channel);
      leave();
    },
    discard(channel) {
      channel.close();
      leave();
    },
    async perform(operation) {
      for (let attempt = 1; ; attempt++) {
        const channel = await channels.acquire();
        try {
          const result = await operation(channel);
          channels.release(channel);
          return result;
        } catch (error) {
          if (error instanceof SandboxFileError) channels.release(channel);
          else channels.discard(channel);
          if (!(error instanceof ChannelLostError) || attempt >= attempts) throw error;
        }
      }
    },
    close() {
      for (const channel of idle.splice(0)) channel.close();
    },
  };
  return channels;
}

export async function readFrame(channel: FrameConnection): Promise<Frame> {
  const frame = await channel.read();
  if (frame === null) throw new ChannelLostError("the connection to the sandbox broke");
  return frame;
}

const errorCodes: readonly SandboxFileErrorCode[] = [
  "failed",
  "is_directory",
  "not_directory",
  "not_regular",
  "no_permission",
  "too_large",
  "no_space",
  "failed",
];

/** The supervisor's words are hostile: bounded, and only their code is acted on. */
export function toFileError(payload: Buffer, path: string): SandboxFileError {
  const code = errorCodes[payload[0] ?? 0] ?? "failed";
  const message = payload.subarray(1, 257).toString("utf8");
  return new SandboxFileError(code, path, `${path}: ${message === "" ? code : message}`);
}

/** The frames of an answer that ends with `end`. Null: absent. @throws SandboxFileError */
export async function readAnswer(channel: FrameConnection, path: string): Promise<Buffer[] | null> {
  const parts: Buffer[] = [];
  for (;;) {
    const frame = await readFrame(channel);
    if (frame.type === frameTypes.data) parts.push(frame.payload);
    else if (frame.type === frameTypes.end) return parts;
    else if (frame.type === frameTypes.absent) return null;
    else if (frame.type === frameTypes.error) throw toFileError(frame.payload, path);
    else throw new ChannelLostError(`the sandbox answered with a frame of type ${frame.type}`);
  }
}

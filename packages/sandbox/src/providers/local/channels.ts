/** Connections to one sandbox's supervisor, kept and used again. One operation at a time on each. @module */
import { SandboxFileError, type SandboxFileErrorCode, SandboxGoneError } from "../../errors.ts";
import { type Attendance, createAttended } from "./attendance.ts";
import { type FrameConnection, connectFrames } from "./connection.ts";
import { type Frame, frameTypes, protocolVersion } from "./frames.ts";
import type { SandboxLocation } from "./host-messages.ts";

/** Below the supervisor's own limit, so that a second provider finds room. */
const maximumChannels = 32;
const maximumIdle = 8;
/** One that moves files has a process inside: what nobody uses for so long is closed. */
const idleMs = 10_000;
const attempts = 4;
/** How long a supervisor that says nothing, or hangs up because it has too many connections, is asked again. */
const helloPatienceMs = 60_000;
const longestPauseMs = 500;

/** The connection broke in the middle of an operation. Never leaves the provider. */
export class ChannelLostError extends Error {
  override readonly name = "ChannelLostError";
}

export interface ChannelSource {
  readonly sandboxId: string;
  /** Where the supervisor was last seen. */
  readonly location: SandboxLocation;
  /** Asks the daemon, which looks whether it lives. @throws SandboxGoneError */
  verify(): Promise<SandboxLocation>;
  /** Of a supervisor that sleeps with its workload. */
  readonly attendance?: Attendance;
}

/** `commands`: with the supervisor itself; `transfer`: with a process that it starts for each, for files and ports. */
export type ChannelKind = "commands" | "transfer";

export interface Channels {
  readonly sandboxId: string;
  /** Where the supervisor finds what the session calls `path`. */
  locatePath(path: string): string;
  acquire(): Promise<FrameConnection>;
  /** What is awaited on it from now on comes when the sandbox is awake. */
  leaveAlone(channel: FrameConnection): void;
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

async function greet(connection: FrameConnection, kind: ChannelKind): Promise<boolean> {
  const hello = await connection.read();
  if (hello?.type !== frameTypes.hello || hello.payload.readUInt32LE(0) !== protocolVersion) return false;
  if (kind === "commands") return true;
  await connection.write(frameTypes.transfer);
  return (await connection.read())?.type === frameTypes.started;
}

/** Null: it hung up, or speaks another protocol. @throws the socket's error. */
async function connectOnce(socketPath: string, kind: ChannelKind): Promise<FrameConnection | null> {
  const connection = await connectFrames(socketPath);
  const timer = setTimeout(() => connection.close(), helloPatienceMs);
  const greeted = await greet(connection, kind);
  clearTimeout(timer);
  if (greeted) return connection;
  connection.close();
  return null;
}

/** @throws SandboxGoneError */
async function openChannel(source: ChannelSource, kind: ChannelKind): Promise<FrameConnection> {
  const deadline = performance.now() + helloPatienceMs;
  let { socketPath } = source.location;
  for (let pause = 2; ; pause = Math.min(pause * 2, longestPauseMs)) {
    let refused = false;
    const connection = await connectOnce(socketPath, kind).catch(() => {
      refused = true;
      return null;
    });
    if (connection !== null) return connection;
    if (refused) ({ socketPath } = await source.verify());
    if (performance.now() + pause > deadline) {
      throw new SandboxGoneError(source.sandboxId, "its supervisor does not answer");
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function createPathMap(mappings: Readonly<Record<string, string>>): (path: string) => string {
  const pairs = Object.entries(mappings);
  return (path) => {
    const pair = pairs.find(([inside]) => path === inside || path.startsWith(`${inside}/`));
    return pair === undefined ? path : pair[1] + path.slice(pair[0].length);
  };
}

interface IdleChannels {
  take(): FrameConnection | undefined;
  put(channel: FrameConnection): void;
  close(): void;
}

function keepIdle(kind: ChannelKind): IdleChannels {
  const idle: FrameConnection[] = [];
  let timer: NodeJS.Timeout | undefined;
  const close = (): void => {
    for (const channel of idle.splice(0)) channel.close();
  };
  return {
    take() {
      for (let channel = idle.pop(); channel !== undefined; channel = idle.pop()) if (!channel.closed) return channel;
      return undefined;
    },
    put(channel) {
      if (channel.closed || idle.length >= maximumIdle) channel.close();
      else idle.push(channel);
      if (kind === "commands") return;
      clearTimeout(timer);
      timer = setTimeout(close, idleMs).unref();
    },
    close,
  };
}

export function createChannels(source: ChannelSource, kind: ChannelKind): Channels {
  const attended = createAttended<FrameConnection>(source.attendance);
  const idle = keepIdle(kind);
  const waiting: (() => void)[] = [];
  let inUse = 0;
  const leave = (): void => {
    inUse--;
    waiting.shift()?.();
  };
  const open = async (): Promise<FrameConnection> => idle.take() ?? openChannel(source, kind);
  const channels: Channels = {
    sandboxId: source.sandboxId,
    locatePath: createPathMap(source.location.mappings),
    async acquire() {
      while (inUse >= maximumChannels) await new Promise<void>((resolve) => waiting.push(resolve));
      inUse++;
      try {
        return await attended.open(open);
      } catch (error) {
        leave();
        throw error;
      }
    },
    leaveAlone: (channel) => attended.leave(channel),
    release(channel) {
      attended.leave(channel);
      idle.put(channel);
      leave();
    },
    discard(channel) {
      attended.leave(channel);
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
    close: () => idle.close(),
  };
  return channels;
}

export async function readFrame(channel: FrameConnection): Promise<Frame> {
  const frame = await channel.read();
  if (frame === null) throw new ChannelLostError("the connection to the sandbox broke");
  return frame;
}

/** Numbers of Linux, by what they mean here. */
const errors: Readonly<Record<number, readonly [SandboxFileErrorCode, string]>> = {
  1: ["no_permission", "not permitted"],
  6: ["not_regular", "not a regular file"],
  11: ["failed", "too many commands are running, or no process can be started"],
  13: ["no_permission", "permission denied"],
  20: ["not_directory", "a part of the path is not a directory"],
  21: ["is_directory", "is a directory"],
  25: ["failed", "does not run on a terminal"],
  27: ["too_large", "larger than allowed"],
  28: ["no_space", "no space left"],
  30: ["no_permission", "read-only"],
  36: ["failed", "the path is too long"],
  39: ["is_directory", "a directory with content is there"],
  40: ["not_regular", "is a link"],
  74: ["failed", "size or checksum are not as announced"],
  122: ["no_space", "no space left"],
};
const notFound = 2;

/** Null: what was asked for does not exist. */
export function toFileError(payload: Buffer, path: string): SandboxFileError | null {
  const reason = payload.length === 4 ? payload.readInt32LE(0) : 0;
  if (reason === notFound) return null;
  const [code, message] = errors[reason] ?? ["failed", `error ${reason}`];
  return new SandboxFileError(code, path, `${path}: ${message}`);
}

/** The frames of an answer that ends with `end`. Null: absent. @throws SandboxFileError */
export async function readAnswer(channel: FrameConnection, path: string): Promise<Buffer[] | null> {
  const parts: Buffer[] = [];
  for (;;) {
    const frame = await readFrame(channel);
    if (frame.type === frameTypes.data) parts.push(frame.payload);
    else if (frame.type === frameTypes.end) return parts;
    else if (frame.type !== frameTypes.error)
      throw new ChannelLostError(`the sandbox answered with a frame of type ${frame.type}`);
    else {
      const error = toFileError(frame.payload, path);
      if (error === null) return null;
      throw error;
    }
  }
}

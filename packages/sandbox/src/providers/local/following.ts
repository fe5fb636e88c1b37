/** Follows a command of a local sandbox to its end, across broken connections. @module */
import type { CommandExit } from "../../session.ts";
import { ChannelLostError, type Channels, readFrame, toFileError } from "./channels.ts";
import { parseState } from "./command-list.ts";
import type { FrameConnection } from "./connection.ts";
import { SandboxGoneError } from "../../errors.ts";
import { type Frame, FrameError, encodeNumber, encodeString, frameTypes, spawnFlags } from "./frames.ts";
import { type OutputQueue, createOutputQueue } from "./output-queue.ts";

const attempts = 4;
/** Of an output frame, before its bytes. */
const outputHeadBytes = 9;
/** Beyond the end of every output: only the exit is told. */
const noOutput = Number.MAX_SAFE_INTEGER;

export interface Follower {
  /** It goes on while the sandbox sleeps. */
  readonly maintenance: boolean;
  readonly queue: OutputQueue;
  /** Bytes of output that arrived or are known to be missing. */
  received: number;
}

export function attachPayload(commandId: string, offset: number): Buffer[] {
  return [
    encodeNumber(spawnFlags.joinOnly, 1),
    encodeNumber(0, 8),
    encodeNumber(offset, 8),
    ...[commandId, "", ""].map(encodeString),
  ];
}

function takeOutput(follower: Follower, { payload }: Frame): void {
  const begins = Number(payload.readBigUInt64LE(0));
  const stream = payload[8] === 2 ? "stderr" : "stdout";
  const bytes = payload.subarray(outputHeadBytes + Math.max(0, follower.received - begins));
  if (bytes.length === 0) return;
  const missingBytes = Math.max(0, begins - follower.received);
  follower.queue.push({ stream, bytes, ...(missingBytes > 0 ? { missingBytes } : {}) });
  follower.received = begins + payload.length - outputHeadBytes;
}

function takeEnd(follower: Follower, { payload }: Frame): CommandExit {
  const { exit, outputBytes } = parseState(payload);
  const missingBytes = outputBytes - follower.received;
  if (missingBytes > 0) follower.queue.push({ stream: "stdout", bytes: new Uint8Array(), missingBytes });
  return exit ?? { type: "unknown", reason: "the sandbox reported no exit" };
}

/** Follows to the exit on this channel. Reads no faster than the output is taken. */
async function follow(channel: FrameConnection, follower: Follower): Promise<CommandExit> {
  for (;;) {
    if (follower.queue.full) await follower.queue.room();
    const frame = await readFrame(channel);
    if (frame.type === frameTypes.exit) return takeEnd(follower, frame);
    if (frame.type !== frameTypes.output || frame.payload.length <= outputHeadBytes)
      throw new ChannelLostError(`unexpected frame ${frame.type} in a command's output`);
    takeOutput(follower, frame);
  }
}

/** Null: the sandbox never saw this command. The channel is released unless the command was joined. */
export async function join(channels: Channels, payload: readonly Buffer[]): Promise<FrameConnection | null> {
  for (let attempt = 1; ; attempt++) {
    const channel = await channels.acquire().catch((error: unknown) => {
      // Nothing was written yet, not even over a connection that broke.
      const unheard = attempt === 1 && error instanceof SandboxGoneError;
      throw unheard ? new SandboxGoneError(error.sandboxId, error.reason, { reached: false }) : error;
    });
    let frame: Frame;
    try {
      await channel.write(frameTypes.spawn, ...payload);
      frame = await readFrame(channel);
    } catch (error) {
      channels.discard(channel);
      if (!(error instanceof ChannelLostError) || attempt >= attempts) throw error;
      continue;
    }
    if (frame.type === frameTypes.started) return channel;
    channels.release(channel);
    const error = frame.type === frameTypes.error ? toFileError(frame.payload, "command") : null;
    if (error !== null) throw error;
    return null;
  }
}

/** Follows a joined command to its end, joining again whenever the connection breaks. */
async function followPersistently(
  channels: Channels,
  commandId: string,
  first: FrameConnection,
  follower: Follower,
): Promise<CommandExit> {
  for (let channel: FrameConnection | null = first; channel !== null;) {
    if (!follower.maintenance) channels.leaveAlone(channel);
    try {
      const exit = await follow(channel, follower);
      channels.release(channel);
      return exit;
    } catch (error) {
      channels.discard(channel);
      if (!(error instanceof ChannelLostError) && !(error instanceof FrameError)) throw error;
    }
    channel = await join(channels, attachPayload(commandId, follower.received));
  }
  return { type: "unknown", reason: "the sandbox no longer knows the command" };
}

/** The exit alone, of a command whose output nobody takes. */
async function awaitExit(channels: Channels, commandId: string, maintenance: boolean): Promise<CommandExit> {
  const channel = await join(channels, attachPayload(commandId, noOutput));
  if (channel === null) return { type: "unknown", reason: "the sandbox no longer knows the command" };
  const follower: Follower = { maintenance, queue: createOutputQueue(), received: noOutput };
  return followPersistently(channels, commandId, channel, follower);
}

export interface Following {
  readonly queue: OutputQueue;
  /** Also when nobody takes the output. */
  wait(): Promise<CommandExit>;
}

export function startFollowing(
  channels: Channels,
  commandId: string,
  channel: FrameConnection,
  { offset, maintenance }: { readonly offset: number; readonly maintenance: boolean },
): Following {
  const follower: Follower = { maintenance, queue: createOutputQueue(), received: offset };
  const exit = followPersistently(channels, commandId, channel, follower).then(
    (end) => {
      follower.queue.end();
      return end;
    },
    (error: unknown): CommandExit => {
      const failure = error instanceof Error ? error : new Error(String(error));
      const gone = failure instanceof SandboxGoneError;
      follower.queue.end(gone ? failure : undefined);
      if (gone) throw failure;
      return { type: "unknown", reason: failure.message };
    },
  );
  exit.catch(() => {});
  return {
    queue: follower.queue,
    wait: () =>
      Promise.race([exit, follower.queue.becomesFull().then(() => awaitExit(channels, commandId, maintenance))]),
  };
}

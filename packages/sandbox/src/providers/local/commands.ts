/** Commands of a local sandbox: started once, followed across broken connections. @module */
import { randomUUID } from "node:crypto";
import type { CommandExit, CommandOutputChunk, SandboxProcess, SpawnOptions } from "../../contract.ts";
import { SandboxFileError, SandboxGoneError } from "../../errors.ts";
import { ChannelLostError, type Channels, readAnswer, readFrame, toFileError } from "./channels.ts";
import type { FrameConnection } from "./connection.ts";
import { type Frame, FrameError, chunkBytes, encodeNumber, encodeString, frameTypes, spawnFlags } from "./frames.ts";

const exitKinds = { exited: 1, signalled: 2, timedOut: 3 } as const;

/** Kernel limit of one argument (MAX_ARG_STRLEN), less the terminating NUL. */
export const maximumCommandBytes = 131_071;

/** The payload of a spawn request. @throws FrameError for NUL or a name that is none. */
export function encodeSpawn(options: SpawnOptions, commandId: string, flags: number): Buffer[] {
  if (commandId === "" || Buffer.byteLength(commandId) > 256)
    throw new FrameError("a command identifier has 1 to 256 bytes");
  const variables = Object.entries(options.environment ?? {}).map(([name, value]) => {
    if (name === "" || name.includes("="))
      throw new FrameError("an environment variable's name is empty or contains =");
    return encodeString(`${name}=${value}`);
  });
  return [
    encodeNumber(flags, 1),
    encodeNumber(Math.min(Math.max(Math.ceil(options.timeoutMs ?? 0), 0), 0xffffffff), 4),
    encodeString(commandId),
    encodeString(options.workingDirectory ?? "/workspace"),
    encodeString(options.command),
    ...variables,
  ];
}

export function parseExit(payload: Buffer): { readonly exit: CommandExit; readonly dropped: number } {
  if (payload.length !== 13) throw new ChannelLostError("the sandbox sent a malformed exit");
  const kind = payload.readUInt8(0);
  const value = payload.readInt32LE(1);
  const dropped = Number(payload.readBigUInt64LE(5));
  if (kind === exitKinds.exited) return { exit: { type: "exited", code: value }, dropped };
  if (kind === exitKinds.signalled) return { exit: { type: "signalled", signal: value }, dropped };
  if (kind === exitKinds.timedOut) return { exit: { type: "timed_out" }, dropped };
  return { exit: { type: "unknown", reason: `the sandbox reported an exit of kind ${kind}` }, dropped };
}

/** Output that arrived and was not yet taken. Bounded by what the supervisor keeps of one command (16 MiB). */
interface OutputQueue {
  push(chunk: CommandOutputChunk): void;
  end(error?: Error): void;
  iterate(): AsyncIterator<CommandOutputChunk>;
}

function createOutputQueue(): OutputQueue {
  const chunks: CommandOutputChunk[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake: (() => void) | null = null;
  return {
    push(chunk) {
      chunks.push(chunk);
      wake?.();
    },
    end(error) {
      ended = true;
      failure = error;
      wake?.();
    },
    iterate: () => ({
      async next() {
        while (chunks.length === 0 && !ended) await new Promise<void>((resolve) => (wake = resolve));
        const value = chunks.shift();
        if (value !== undefined) return { done: false, value };
        if (failure !== undefined) throw failure;
        return { done: true, value: undefined };
      },
      async return() {
        chunks.length = 0;
        return { done: true, value: undefined };
      },
    }),
  };
}

interface Follower {
  readonly queue: OutputQueue;
  received: number;
}

/** Follows to the exit on this channel. */
async function follow(channel: FrameConnection, follower: Follower): Promise<CommandExit> {
  for (;;) {
    const frame = await readFrame(channel);
    if (frame.type === frameTypes.output && frame.payload.length > 0) {
      follower.received += frame.payload.length - 1;
      const stream = frame.payload[0] === 2 ? "stderr" : "stdout";
      follower.queue.push({ stream, bytes: frame.payload.subarray(1) });
      continue;
    }
    if (frame.type !== frameTypes.exit)
      throw new ChannelLostError(`unexpected frame ${frame.type} in a command's output`);
    const { exit, dropped } = parseExit(frame.payload);
    if (dropped > 0) {
      const note = `\n[output limit reached: ${dropped} further bytes were dropped]\n`;
      follower.queue.push({ stream: "stderr", bytes: Buffer.from(note) });
    }
    return exit;
  }
}

/** Null: the sandbox never saw this command. The channel is released unless the command was joined. */
async function join(channels: Channels, type: number, payload: readonly Buffer[]): Promise<FrameConnection | null> {
  for (let attempt = 1; ; attempt++) {
    const channel = await channels.acquire();
    let frame: Frame;
    try {
      await channel.write(type, ...payload);
      frame = await readFrame(channel);
    } catch (error) {
      channels.discard(channel);
      if (!(error instanceof ChannelLostError) || attempt >= 4) throw error;
      continue;
    }
    if (frame.type === frameTypes.started) return channel;
    channels.release(channel);
    if (frame.type === frameTypes.error) throw toFileError(frame.payload, "command");
    return null;
  }
}

function attachPayload(commandId: string, offset: number): Buffer[] {
  return [encodeNumber(offset, 8), encodeString(commandId)];
}

/** Follows a joined command to its end, joining again whenever the connection breaks. */
async function followPersistently(
  channels: Channels,
  commandId: string,
  first: FrameConnection,
  follower: Follower,
): Promise<CommandExit> {
  for (let channel: FrameConnection | null = first; channel !== null;) {
    try {
      const exit = await follow(channel, follower);
      channels.release(channel);
      return exit;
    } catch (error) {
      channels.discard(channel);
      if (!(error instanceof ChannelLostError)) throw error;
    }
    channel = await join(channels, frameTypes.attach, attachPayload(commandId, follower.received));
  }
  return { type: "unknown", reason: "the sandbox no longer knows the command" };
}

function toProcess(channels: Channels, commandId: string, channel: FrameConnection, offset: number): SandboxProcess {
  const follower: Follower = { queue: createOutputQueue(), received: offset };
  const exit = followPersistently(channels, commandId, channel, follower).then(
    (end) => {
      follower.queue.end();
      return end;
    },
    (error: unknown): CommandExit => {
      const failure = error instanceof Error ? error : new Error(String(error));
      if (failure instanceof SandboxGoneError) follower.queue.end(failure);
      else follower.queue.end();
      if (failure instanceof SandboxGoneError) throw failure;
      return { type: "unknown", reason: failure.message };
    },
  );
  exit.catch(() => {});
  return {
    commandId,
    output: { [Symbol.asyncIterator]: () => follower.queue.iterate() },
    wait: () => exit,
    kill: () => killCommand(channels, commandId),
  };
}

async function killCommand(channels: Channels, commandId: string): Promise<void> {
  await channels.perform(async (channel) => {
    await channel.write(frameTypes.kill, encodeString(commandId));
    await readAnswer(channel, commandId);
  });
}

/** Feeds standard input and closes it. Ends early, without error, when the command reads no more. */
export async function feedStdin(
  channels: Channels,
  commandId: string,
  source: ReadableStream<Uint8Array> | Uint8Array,
): Promise<void> {
  const channel = await channels.acquire();
  try {
    await channel.write(frameTypes.stdin, encodeString(commandId));
    const parts: AsyncIterable<Uint8Array> | Uint8Array[] = source instanceof Uint8Array ? [source] : source;
    for await (const part of parts) {
      for (let at = 0; at < part.length; at += chunkBytes) {
        await channel.write(frameTypes.streamData, part.subarray(at, at + chunkBytes));
        if (channel.closed) throw new ChannelLostError("standard input was cut off");
      }
    }
    await channel.write(frameTypes.streamEnd);
    await readAnswer(channel, commandId);
  } catch (error) {
    channels.discard(channel);
    throw error;
  }
  channels.release(channel);
}

/** @throws SandboxFileError for what cannot be said to the supervisor */
function encodeCommand(options: SpawnOptions, commandId: string, flags: number): Buffer[] {
  try {
    return encodeSpawn(options, commandId, flags);
  } catch (error) {
    if (error instanceof FrameError) throw new SandboxFileError("failed", "command", `the command: ${error.message}`);
    throw error;
  }
}

export async function spawnCommand(channels: Channels, options: SpawnOptions): Promise<SandboxProcess> {
  options.abortSignal?.throwIfAborted();
  const commandId = options.commandId ?? randomUUID();
  if (Buffer.byteLength(options.command) > maximumCommandBytes) {
    throw new SandboxFileError(
      "too_large",
      "command",
      `a command has at most ${maximumCommandBytes} bytes; write it to a file`,
    );
  }
  const maintenance = options.scope === "maintenance" ? spawnFlags.maintenance : 0;
  const flags = maintenance | (options.stdin === undefined ? 0 : spawnFlags.stdin);
  const payload = encodeCommand(options, commandId, flags);
  const channel = await join(channels, frameTypes.spawn, payload);
  if (channel === null) throw new SandboxFileError("failed", "command", "the sandbox did not start the command");
  const process = toProcess(channels, commandId, channel, 0);
  if (options.stdin !== undefined) {
    feedStdin(channels, commandId, options.stdin).catch(() => void process.kill().catch(() => {}));
  }
  if (options.abortSignal !== undefined) {
    const signal = options.abortSignal;
    const abort = (): void => void process.kill().catch(() => {});
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    const forget = (): void => signal.removeEventListener("abort", abort);
    process.wait().then(forget, forget);
  }
  return process;
}

export async function attachCommand(
  channels: Channels,
  options: { readonly commandId: string; readonly byteOffset: number },
): Promise<SandboxProcess | null> {
  const payload = attachPayload(options.commandId, options.byteOffset);
  const channel = await join(channels, frameTypes.attach, payload);
  return channel === null ? null : toProcess(channels, options.commandId, channel, options.byteOffset);
}

export async function runCommand(
  channels: Channels,
  options: SpawnOptions,
): Promise<{ exit: CommandExit; stdout: string; stderr: string }> {
  const process = await spawnCommand(channels, options);
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of process.output) parts[chunk.stream].push(chunk.bytes);
  const exit = await process.wait();
  return { exit, stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

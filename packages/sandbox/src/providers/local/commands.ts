/** Commands of a local sandbox: started once, in one exchange on a waiting connection. @module */
import { randomUUID } from "node:crypto";
import { SandboxFileError } from "../../errors.ts";
import type {
  CommandExit,
  CommandSummary,
  ProcessSummary,
  SandboxProcess,
  SpawnOptions,
  TerminalSize,
} from "../../session.ts";
import { ChannelLostError, type Channels, readAnswer, readFrame } from "./channels.ts";
import { type CommandList, parseCommandList, toProcessList } from "./command-list.ts";
import type { FrameConnection } from "./connection.ts";
import { attachPayload, join, startFollowing } from "./following.ts";
import { FrameError, chunkBytes, encodeNumber, encodeString, frameTypes, spawnFlags } from "./frames.ts";

/** Kernel limit of one argument (MAX_ARG_STRLEN), less the terminating NUL. */
export const maximumCommandBytes = 131_071;
const controls = { kill: 1, signal: 2, resize: 3 } as const;
const largestTerminal = 1000;

/** The payload of a spawn request. @throws FrameError for NUL or a name that is none. */
export function encodeSpawn(options: SpawnOptions, commandId: string): Buffer[] {
  if (commandId === "" || Buffer.byteLength(commandId) > 256)
    throw new FrameError("a command identifier has 1 to 256 bytes");
  const variables = Object.entries(options.environment ?? {}).map(([name, value]) => {
    if (name === "" || name.includes("="))
      throw new FrameError("an environment variable's name is empty or contains =");
    return encodeString(`${name}=${value}`);
  });
  const { terminal } = options;
  const flags =
    (options.scope === "maintenance" ? spawnFlags.maintenance : 0) |
    (options.stdin === undefined && terminal === undefined ? 0 : spawnFlags.stdin) |
    (terminal === undefined ? 0 : spawnFlags.terminal);
  return [
    encodeNumber(flags, 1),
    encodeNumber(Math.min(Math.max(Math.ceil(options.timeoutMs ?? 0), 0), 0xffffffff), 4),
    ...encodeSize(terminal ?? { rows: 1, columns: 1 }),
    encodeNumber(0, 8),
    encodeString(commandId),
    encodeString(options.workingDirectory ?? "/workspace"),
    encodeString(options.command),
    ...variables,
  ];
}

function encodeSize({ rows, columns }: TerminalSize): Buffer[] {
  for (const length of [rows, columns]) {
    if (!Number.isInteger(length) || length < 1 || length > largestTerminal)
      throw new FrameError(`a terminal has 1 to ${largestTerminal} rows and columns`);
  }
  return [encodeNumber(rows, 2), encodeNumber(columns, 2)];
}

/** @throws SandboxFileError for what cannot be said to the supervisor */
function encoded<T>(encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    if (error instanceof FrameError) throw new SandboxFileError("failed", "command", `the command: ${error.message}`);
    throw error;
  }
}

/** False: the command has ended, or is not known. */
async function control(
  channels: Channels,
  commandId: string,
  action: number,
  first: number,
  second: number,
): Promise<boolean> {
  const payload = [encodeNumber(action, 1), encodeNumber(first, 2), encodeNumber(second, 2), encodeString(commandId)];
  const answer = await channels.perform(async (channel) => {
    await channel.write(frameTypes.control, ...payload);
    return readAnswer(channel, commandId);
  });
  return answer !== null;
}

/** False: the command reads no more. */
async function readInputAnswer(channel: FrameConnection, commandId: string): Promise<boolean> {
  return (await readAnswer(channel, commandId)) !== null;
}

async function endStdin(channels: Channels, commandId: string): Promise<void> {
  await channels.perform(async (channel) => {
    await channel.write(frameTypes.stdin, encodeString(commandId));
    await readInputAnswer(channel, commandId);
  });
}

/** False: the command reads no more. */
async function writeStdin(
  channels: Channels,
  commandId: string,
  source: ReadableStream<Uint8Array> | Uint8Array,
): Promise<boolean> {
  const channel = await channels.acquire();
  try {
    channels.leaveAlone(channel);
    const parts: AsyncIterable<Uint8Array> | Uint8Array[] = source instanceof Uint8Array ? [source] : source;
    let wanted = true;
    // One is on its way while the one before is answered.
    let pending: Promise<boolean> = Promise.resolve(true);
    for await (const part of parts) {
      for (let at = 0; at < part.length && wanted; at += chunkBytes) {
        const before = pending;
        await channel.write(frameTypes.stdin, encodeString(commandId), part.subarray(at, at + chunkBytes));
        pending = before.then(() => readInputAnswer(channel, commandId));
        pending.catch(() => {});
        wanted = await before;
      }
    }
    wanted = (await pending) && wanted;
    channels.release(channel);
    return wanted;
  } catch (error) {
    channels.discard(channel);
    throw error;
  }
}

function toProcess(
  channels: Channels,
  commandId: string,
  channel: FrameConnection,
  from: { readonly offset: number; readonly maintenance: boolean },
): SandboxProcess {
  const following = startFollowing(channels, commandId, channel, from);
  let lastInput: Promise<unknown> = Promise.resolve();
  const inOrder = <T>(work: () => Promise<T>): Promise<T> => {
    const done = lastInput.then(work);
    lastInput = done.catch(() => {});
    return done;
  };
  return {
    commandId,
    output: { [Symbol.asyncIterator]: () => following.queue.iterate() },
    wait: () => following.wait(),
    kill: async () => void (await control(channels, commandId, controls.kill, 0, 0)),
    async signal(signal) {
      if (!Number.isInteger(signal) || signal < 1 || signal > 64)
        throw new SandboxFileError("failed", "command", "a signal is a number from 1 to 64");
      return control(channels, commandId, controls.signal, signal, 0);
    },
    writeStdin: (bytes) => inOrder(() => writeStdin(channels, commandId, bytes)),
    closeStdin: () => inOrder(() => endStdin(channels, commandId)),
    async resizeTerminal(size) {
      encoded(() => encodeSize(size));
      await control(channels, commandId, controls.resize, size.rows, size.columns);
    },
  };
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
  const workingDirectory = channels.locatePath(options.workingDirectory ?? "/workspace");
  const payload = encoded(() => encodeSpawn({ ...options, workingDirectory }, commandId));
  const channel = await join(channels, payload);
  if (channel === null) throw new SandboxFileError("failed", "command", "the sandbox did not start the command");
  const process = toProcess(channels, commandId, channel, { offset: 0, maintenance: options.scope === "maintenance" });
  const { stdin, abortSignal } = options;
  if (stdin !== undefined && stdin !== "open") {
    writeStdin(channels, commandId, stdin)
      .then(() => process.closeStdin())
      .catch(() => void process.kill().catch(() => {}));
  }
  if (abortSignal !== undefined) {
    const abort = (): void => void process.kill().catch(() => {});
    abortSignal.addEventListener("abort", abort, { once: true });
    if (abortSignal.aborted) abort();
    const forget = (): void => abortSignal.removeEventListener("abort", abort);
    process.wait().then(forget, forget);
  }
  return process;
}

export async function attachCommand(
  channels: Channels,
  options: { readonly commandId: string; readonly byteOffset: number },
): Promise<SandboxProcess | null> {
  const payload = attachPayload(options.commandId, options.byteOffset);
  const channel = await join(channels, payload);
  if (channel === null) return null;
  return toProcess(channels, options.commandId, channel, { offset: options.byteOffset, maintenance: false });
}

export async function runCommand(
  channels: Channels,
  options: SpawnOptions,
): Promise<{ exit: CommandExit; stdout: string; stderr: string }> {
  const process = await spawnCommand(channels, options);
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const { stream, bytes, missingBytes = 0 } of process.output) {
    if (missingBytes > 0) parts[stream].push(Buffer.from(`\n[${missingBytes} bytes of output are missing here]\n`));
    parts[stream].push(bytes);
  }
  const exit = await process.wait();
  return { exit, stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

async function askCommands(channels: Channels): Promise<CommandList> {
  return channels.perform(async (channel) => {
    await channel.write(frameTypes.commands);
    const { type, payload } = await readFrame(channel);
    if (type !== frameTypes.end) throw new ChannelLostError(`the sandbox answered with a frame of type ${type}`);
    try {
      return parseCommandList(payload);
    } catch (error) {
      throw error instanceof FrameError ? new ChannelLostError(error.message) : error;
    }
  });
}

export async function listCommands(channels: Channels): Promise<readonly CommandSummary[]> {
  return (await askCommands(channels)).commands;
}

/** The kernel tells it to a command of ours, which is not stopped with the workload. */
export async function listProcesses(channels: Channels): Promise<readonly ProcessSummary[]> {
  const { stdout } = await runCommand(channels, {
    command: String.raw`for stat in /proc/[0-9]*/stat; do read -r -d '' text < "$stat"; printf '%s\0' "$text"; done 2>/dev/null`,
    workingDirectory: "/",
    scope: "maintenance",
  });
  return toProcessList(stdout, await askCommands(channels));
}

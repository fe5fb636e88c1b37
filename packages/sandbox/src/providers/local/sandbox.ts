/** One local sandbox: the session's operations over its supervisor, the lifecycle over the host daemon. @module */
import type { Sandbox, SandboxReference, SandboxStatus } from "../../contract.ts";
import { SandboxGoneError, SandboxUnavailableError } from "../../errors.ts";
import type { SandboxSession } from "../../session.ts";
import { type Attendance, createAttendance } from "./attendance.ts";
import { ChannelLostError, type ChannelSource, type Channels, createChannels } from "./channels.ts";
import { attachCommand, listCommands, listProcesses, runCommand, spawnCommand } from "./commands.ts";
import { createContentOperations } from "./content.ts";
import { createLookups } from "./files.ts";
import type { HostClient } from "./host-client.ts";
import type { SandboxLocation } from "./host-messages.ts";
import { connectPort } from "./ports.ts";

export interface LocalSandbox {
  readonly sandbox: Sandbox;
  readonly location: SandboxLocation;
  close(): void;
  /** Another sandbox has its identifier. */
  end(): void;
}

/** A connection that broke is judged by the daemon: it says whether the sandbox is gone. */
async function explainLoss(source: ChannelSource, error: unknown): Promise<unknown> {
  if (!(error instanceof ChannelLostError)) return error;
  try {
    await source.verify();
  } catch (reason) {
    return reason;
  }
  return new SandboxUnavailableError(error.message, "Try it again.");
}

function createSession(
  source: ChannelSource,
  channels: Channels,
  transfer: Channels,
  description: string,
): SandboxSession {
  const lookups = createLookups(transfer, channels);
  const content = createContentOperations(transfer);
  const guard = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw await explainLoss(source, error);
    }
  };
  const guardParts = async function* <Part>(parts: AsyncIterable<Part>): AsyncGenerator<Part> {
    try {
      yield* parts;
    } catch (error) {
      throw await explainLoss(source, error);
    }
  };
  return {
    description,
    readFile: (options) => guard(content.readFile(options)),
    readBinaryFile: (options) => guard(content.readBinaryFile(options)),
    writeFile: (options) => guard(content.writeFile(options)),
    writeBinaryFile: (options) => guard(content.writeBinaryFile(options)),
    stat: (options) => guard(lookups.stat(options)),
    listDirectory: (options) => guard(lookups.listDirectory(options)),
    listTree: (options) => guard(lookups.listTree(options)),
    surveyTree: (options) => guard(lookups.surveyTree(options)),
    inspectEntries: (options) => guard(lookups.inspectEntries(options)),
    scanTree: (options) => guardParts(lookups.scanTree(options)),
    fetchFiles: (options) => guardParts(content.fetchFiles(options)),
    placeEntries: (options) => guard(content.placeEntries(options)),
    deleteFile: (options) => guard(lookups.deleteFile(options)),
    spawn: (options) => guard(spawnCommand(channels, options)),
    attachCommand: (options) => guard(attachCommand(channels, options)),
    listCommands: () => guard(listCommands(channels)),
    listProcesses: () => guard(listProcesses(channels)),
    run: (options) => guard(runCommand(channels, options)),
    connectPort: (options) => guard(connectPort(transfer, options.port)),
  };
}

/** The session of a supervisor. `close` gives up its idle connections. */
export function openSession(
  source: ChannelSource,
  description: string,
): { readonly session: SandboxSession; close(): void } {
  const channels = createChannels(source, "commands");
  const transfer = createChannels(source, "transfer");
  const close = (): void => {
    channels.close();
    transfer.close();
  };
  return { session: createSession(source, channels, transfer, description), close };
}

export interface LocalSandboxOptions {
  readonly host: HostClient;
  readonly reference: SandboxReference;
  readonly location: SandboxLocation;
  readonly description: string;
  /** Called when the sandbox was destroyed through this object. */
  forget(): void;
}

export function createLocalSandbox(options: LocalSandboxOptions): LocalSandbox {
  const { host, reference, location, description, forget } = options;
  const { id } = reference;
  let ended = false;
  /** Another sandbox may have the identifier by now. */
  const call = async <M extends "suspend" | "resume">(method: M) => {
    if (ended) throw new SandboxGoneError(id, "it was destroyed");
    return host.call(method, { id });
  };
  const verify = async (): Promise<SandboxLocation> => {
    const now = await host.call("status", { id });
    if (ended || now.socketPath !== location.socketPath)
      throw new SandboxGoneError(id, "another one has its identifier");
    return now;
  };
  const { servedMs } = location;
  const attendance: Attendance | null =
    servedMs === null ? null : createAttendance(() => host.call("attend", { id }), servedMs);
  const source: ChannelSource = { sandboxId: id, location, verify, ...(attendance === null ? {} : { attendance }) };
  const { session, close } = openSession(source, description);
  const status = async (): Promise<SandboxStatus> => {
    const { owner, state, createdAt, limitExceeded } = await host.call("status", { id });
    const running = (await session.listCommands()).filter(({ scope, exit }) => scope === "workload" && exit === null);
    const runningCommands = running.map(({ commandId }) => commandId);
    const base = { id, owner, state, createdAt, runningCommands };
    return limitExceeded === undefined ? base : { ...base, limitExceeded };
  };
  const sandbox: Sandbox = {
    reference,
    session,
    status,
    async suspend() {
      const timed = await call("suspend");
      attendance?.lapse();
      return timed;
    },
    resume: () => call("resume"),
    async destroy() {
      if (ended) return;
      ended = true;
      close();
      forget();
      await host.call("destroy", { id });
    },
  };
  const end = (): void => {
    ended = true;
    close();
  };
  return { sandbox, location, close, end };
}

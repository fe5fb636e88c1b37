/** Steps that many cases take. @module */
import type { Sandbox } from "../contract.ts";
import type {
  CommandExit,
  CommandOutputChunk,
  FetchedPart,
  PlacedEntry,
  SandboxProcess,
  SpawnOptions,
  TreeEntry,
} from "../session.ts";
import { claim, claimEqual, claimSoon } from "./claims.ts";

export const ended0: CommandExit = { type: "exited", code: 0 };

export const text = (content: string): Uint8Array => new Uint8Array(Buffer.from(content));

export function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}

/** Bytes without a pattern that a faulty copy would keep, the same for the same seed. */
export function noise(size: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(size);
  const words = new Uint32Array(bytes.buffer, 0, Math.floor(size / 4));
  let state = seed;
  for (let at = 0; at < words.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    words[at] = state;
  }
  return bytes;
}

export async function chunksOf(process: SandboxProcess): Promise<CommandOutputChunk[]> {
  const chunks: CommandOutputChunk[] = [];
  for await (const chunk of process.output) chunks.push(chunk);
  return chunks;
}

export async function outputOf(process: SandboxProcess): Promise<string> {
  return Buffer.concat((await chunksOf(process)).map(({ bytes }) => bytes)).toString();
}

/** Runs to a successful end and gives what it printed. */
export async function printed(sandbox: Sandbox, command: string, more: Partial<SpawnOptions> = {}): Promise<string> {
  const { exit, stdout, stderr } = await sandbox.session.run({ command, ...more });
  claimEqual(exit, ended0, `exit of ${command.slice(0, 60)} (${stderr.slice(0, 200)})`);
  return stdout;
}

export async function readText(sandbox: Sandbox, path: string): Promise<string | null> {
  return textOf(await sandbox.session.readBinaryFile({ path }));
}

export function writeText(sandbox: Sandbox, path: string, content: string, mode?: number): Promise<void> {
  const options = mode === undefined ? {} : { mode };
  return sandbox.session.writeBinaryFile({ path, content: text(content), ...options });
}

/** Starts a command and reads until it has printed `on`; the rest of the output is not read. */
export async function startedCommand(sandbox: Sandbox, options: SpawnOptions): Promise<SandboxProcess> {
  const process = await sandbox.session.spawn(options);
  const first = await process.output[Symbol.asyncIterator]().next();
  claim(first.done !== true, "the command ended before it printed anything");
  return process;
}

export async function treeOf(sandbox: Sandbox, path: string): Promise<ReadonlyMap<string, TreeEntry>> {
  return new Map((await sandbox.session.listTree({ path })).map((entry) => [entry.path, entry]));
}

export interface FetchedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly holeBytes: number;
  readonly end: number | string;
}

/** Puts fetched parts together, file by file. */
export async function fetched(sandbox: Sandbox, paths: readonly string[]): Promise<FetchedFile[]> {
  const files: FetchedFile[] = [];
  let path = "";
  let pieces: Uint8Array[] = [];
  let holeBytes = 0;
  const take = (part: FetchedPart): void => {
    if (part.type === "file") {
      path = part.path;
      pieces = [];
      holeBytes = 0;
    } else if (part.type === "piece") {
      if (!(part.piece instanceof Uint8Array)) holeBytes += part.piece.holeBytes;
      pieces.push(part.piece instanceof Uint8Array ? part.piece.slice() : new Uint8Array(part.piece.holeBytes));
    } else if (part.type === "end") {
      files.push({ path, bytes: new Uint8Array(Buffer.concat(pieces)), holeBytes, end: part.size });
    } else files.push({ path: part.path, bytes: new Uint8Array(), holeBytes: 0, end: part.reason });
  };
  for await (const part of sandbox.session.fetchFiles({ paths })) take(part);
  return files;
}

export function place(sandbox: Sandbox, entries: readonly PlacedEntry[]): Promise<void> {
  return sandbox.session.placeEntries({ entries });
}

/** How often a workload wrote to a file, and a command that goes on writing for at least four seconds. */
export const countingCommand = "echo on; ".concat("printf x >> /workspace/count; sleep 0.04; ".repeat(100));

export async function counted(sandbox: Sandbox): Promise<number> {
  return (await sandbox.session.stat({ path: "/workspace/count" }))?.size ?? 0;
}

export async function noProcesses(sandbox: Sandbox, what: string): Promise<void> {
  await claimSoon(async () => (await sandbox.session.listProcesses()).length === 0, what);
}

/** Small file operations of a local sandbox. Paths travel as data and are resolved inside. @module */
import { SandboxFileError } from "../../errors.ts";
import type { DirectoryEntry, EntryKind, FileStat, SandboxSession, TreeEntry } from "../../session.ts";
import { ChannelLostError, type Channels, readAnswer, readFrame, toFileError } from "./channels.ts";
import { runCommand } from "./commands.ts";
import { encodeNumber, encodeString, frameTypes } from "./frames.ts";

type Lookups = Pick<SandboxSession, "stat" | "listDirectory" | "listTree" | "scanTree" | "deleteFile">;

const kinds = ["other", "file", "directory", "symlink", "other"] as const;
const defaultMaximumEntries = 200_000;
const numbersBytes = 53;
const wholeTree = 0xffffffff;

/** @throws SandboxFileError */
export function encodePath(channels: Channels, path: string): Buffer {
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new SandboxFileError("failed", path, "a path inside the sandbox is absolute and without NUL");
  }
  const located = channels.locatePath(path);
  return encodeString(located.replaceAll(/\/+/g, "/").replace(/(?<=.)\/$/, ""));
}

export interface ScannedEntry {
  readonly kind: EntryKind;
  /** Below the root that was scanned; of the root itself, where it is, without links. */
  readonly below: string;
  readonly size: number;
  readonly allocatedBytes: number;
  readonly mode: number;
  readonly modifiedAt: number;
  readonly fingerprint: string;
  readonly linkTarget: string | null;
}

/** `u8 kind, u32 path bytes, u32 link bytes, u64 size, u64 allocated, u32 mode, i64 mtime, u64 inode, u64 ctime`, texts. */
function* parseEntries(bytes: Buffer): Generator<ScannedEntry, undefined> {
  for (let at = 0; at < bytes.length;) {
    const whole = at + numbersBytes <= bytes.length;
    const pathEnd = at + numbersBytes + (whole ? bytes.readUInt32LE(at + 1) : 0);
    const end = pathEnd + (whole ? bytes.readUInt32LE(at + 5) : 0);
    if (!whole || end > bytes.length) throw new ChannelLostError("the sandbox sent a malformed listing");
    const kind = kinds[bytes.readUInt8(at)] ?? "other";
    const size = Number(bytes.readBigUInt64LE(at + 9));
    const mode = bytes.readUInt32LE(at + 25);
    yield {
      kind,
      below: bytes.toString("utf8", at + numbersBytes, pathEnd),
      size,
      allocatedBytes: Number(bytes.readBigUInt64LE(at + 17)),
      mode,
      modifiedAt: Number(bytes.readBigInt64LE(at + 29)),
      fingerprint: `${bytes.readBigUInt64LE(at + 37)}:${size}:${bytes.readBigUInt64LE(at + 45)}:${mode}`,
      linkTarget: kind === "symlink" ? bytes.toString("utf8", pathEnd, end) : null,
    };
    at = end;
  }
}

interface ScanOptions {
  readonly path: string;
  readonly maximumEntries: number;
  readonly depth: number;
}

/** The root first. Null: it does not exist. */
async function scan(channels: Channels, options: ScanOptions): Promise<ScannedEntry[] | null> {
  const { path, maximumEntries, depth } = options;
  const request = [encodeNumber(maximumEntries, 4), encodeNumber(depth, 4), encodePath(channels, path)];
  return channels.perform(async (channel) => {
    await channel.write(frameTypes.scan, ...request);
    const answer = await readAnswer(channel, path);
    return answer === null ? null : [...parseEntries(answer.length === 1 ? first(answer) : Buffer.concat(answer))];
  });
}

function first(answer: readonly Buffer[]): Buffer {
  return answer[0] ?? Buffer.alloc(0);
}

function requireDirectory(path: string, root: ScannedEntry | undefined): void {
  if (root?.kind !== "directory") throw new SandboxFileError("not_directory", path, `${path}: not a directory`);
}

/** As {@link scan}, a frame at a time: how many there are is the sandbox's affair, how many are held is ours. */
async function* scanTree(channels: Channels, path: string): AsyncGenerator<readonly TreeEntry[]> {
  const request = [encodeNumber(wholeTree, 4), encodeNumber(wholeTree, 4), encodePath(channels, path)];
  const base = path.replace(/\/+$/, "");
  const channel = await channels.acquire();
  let answered = false;
  try {
    await channel.write(frameTypes.scan, ...request);
    for (let root = true; !answered; root = false) {
      const { type, payload } = await readFrame(channel);
      answered = type !== frameTypes.data;
      if (type === frameTypes.end) return;
      const error = type === frameTypes.error ? toFileError(payload, path) : undefined;
      if (error === null) return;
      if (error !== undefined) throw error;
      if (answered) throw new ChannelLostError(`the sandbox answered with a frame of type ${type}`);
      const entries = [...parseEntries(payload)];
      if (root) requireDirectory(path, entries.shift());
      if (entries.length > 0) yield entries.map(({ below, ...entry }): TreeEntry => ({ path: base + below, ...entry }));
    }
  } finally {
    if (answered) channels.release(channel);
    else channels.discard(channel);
  }
}

export interface ResolvedPath {
  /** Where it is, or would be made, as the sandbox says it; without links. */
  readonly location: Buffer;
  /** Null: it does not exist. */
  readonly found: ScannedEntry | null;
}

/** Follows links, of the parents too when it does not exist yet: the other operations follow none. */
export async function resolvePath(channels: Channels, path: string): Promise<ResolvedPath> {
  const whole = encodePath(channels, path).subarray(0, -1).toString();
  const candidates = [whole];
  for (let at = whole.lastIndexOf("/"); at > 0; at = whole.lastIndexOf("/", at - 1))
    candidates.push(whole.slice(0, at));
  const limits = [encodeNumber(1, 4), encodeNumber(0, 4)];
  return channels.perform(async (channel) => {
    for (const candidate of candidates) void channel.write(frameTypes.scan, ...limits, encodeString(candidate));
    let resolved: ResolvedPath | null = null;
    const failures: SandboxFileError[] = [];
    for (const candidate of candidates) {
      const answer = await readAnswer(channel, path).catch((error: unknown) => {
        if (!(error instanceof SandboxFileError)) throw error;
        if (error.code !== "not_directory") failures.push(error);
        return null;
      });
      const found = answer === null ? undefined : parseEntries(Buffer.concat(answer)).next().value;
      if (resolved !== null || failures.length > 0 || found === undefined) continue;
      const location = encodeString((found.below === "/" ? "" : found.below) + whole.slice(candidate.length));
      resolved = { location, found: candidate === whole ? found : null };
    }
    if (failures[0] !== undefined) throw failures[0];
    return resolved ?? { location: encodeString(whole), found: null };
  });
}

async function stat(channels: Channels, path: string): Promise<FileStat | null> {
  const root = (await scan(channels, { path, maximumEntries: 1, depth: 0 }))?.[0];
  if (root === undefined) return null;
  return {
    kind: root.kind === "file" || root.kind === "directory" ? root.kind : "other",
    size: root.size,
    mode: root.mode,
    modifiedAt: new Date(root.modifiedAt),
  };
}

/** A directory with all that is in it, by a command of the sandbox's own. @throws SandboxFileError */
async function deleteTree(channels: Channels, path: string): Promise<void> {
  const { exit, stderr } = await runCommand(channels, {
    command: 'exec rm -rf -- "$TARGET"',
    environment: { TARGET: channels.locatePath(path) },
    workingDirectory: "/",
    scope: "maintenance",
  });
  if (exit.type === "exited" && exit.code === 0) return;
  const code = /Permission denied|not permitted|Read-only/.test(stderr) ? "no_permission" : "failed";
  throw new SandboxFileError(code, path, `${path}: cannot delete: ${stderr.slice(0, 256).trim()}`);
}

/** @param commands for what a command of the sandbox does better */
export function createLookups(channels: Channels, commands: Channels): Lookups {
  return {
    stat: ({ path }) => stat(channels, path),
    async listDirectory({ path }) {
      const found = await scan(channels, { path, maximumEntries: wholeTree, depth: 1 });
      if (found === null) return null;
      requireDirectory(path, found[0]);
      return found.slice(1).map(({ below, kind }): DirectoryEntry => ({ name: below.slice(1), kind }));
    },
    async listTree({ path, maximumEntries = defaultMaximumEntries }) {
      const found = await scan(channels, { path, maximumEntries, depth: wholeTree });
      if (found !== null) requireDirectory(path, found[0]);
      const base = path.replace(/\/+$/, "");
      return (found ?? []).slice(1).map(({ below, ...entry }): TreeEntry => ({ path: base + below, ...entry }));
    },
    scanTree: ({ path }) => scanTree(channels, path),
    async deleteFile({ path, recursive = false }) {
      const request = encodePath(channels, path);
      try {
        const answer = await channels.perform(async (channel) => {
          await channel.write(frameTypes.delete, request);
          return readAnswer(channel, path);
        });
        return answer !== null;
      } catch (error) {
        if (!recursive || !(error instanceof SandboxFileError) || error.code !== "is_directory") throw error;
        await deleteTree(commands, path);
        return true;
      }
    },
  };
}

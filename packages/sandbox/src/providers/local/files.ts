/** Small file operations of a local sandbox. Paths travel as data and are resolved inside. @module */
import { createHash } from "node:crypto";
import { SandboxFileError } from "../../errors.ts";
import type { DirectoryEntry, EntryKind, FileStat, SandboxSession, TreeEntry, TreeSurvey } from "../../session.ts";
import { ChannelLostError, type Channels, readAnswer, readFrame, toFileError } from "./channels.ts";
import { runCommand } from "./commands.ts";
import { encodeNumber, encodeString, frameTypes } from "./frames.ts";

type Lookups = Pick<
  SandboxSession,
  "stat" | "listDirectory" | "listTree" | "surveyTree" | "inspectEntries" | "scanTree" | "deleteFile"
>;

const kinds = ["other", "file", "directory", "symlink", "other"] as const;
const defaultMaximumEntries = 200_000;
const numbersBytes = 53;
const wholeTree = 0xffffffff;
/** Entries that are asked for before the first is answered. */
const inspectedAhead = 256;

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

/** As the sandbox says it, the root first. Null: it does not exist. */
async function scanRaw(channels: Channels, options: ScanOptions): Promise<readonly Buffer[] | null> {
  const { path, maximumEntries, depth } = options;
  const request = [encodeNumber(maximumEntries, 4), encodeNumber(depth, 4), encodePath(channels, path)];
  return channels.perform(async (channel) => {
    await channel.write(frameTypes.scan, ...request);
    return readAnswer(channel, path);
  });
}

/** No entry is cut by the end of a frame. */
function* parseAnswer(answer: readonly Buffer[]): Generator<ScannedEntry, undefined> {
  for (const frame of answer) yield* parseEntries(frame);
}

/** The root first. Null: it does not exist. */
async function scan(channels: Channels, options: ScanOptions): Promise<ScannedEntry[] | null> {
  const answer = await scanRaw(channels, options);
  return answer === null ? null : [...parseAnswer(answer)];
}

/** What is below a directory, of its listing; none where it does not exist. */
function entriesBelow(path: string, answer: readonly Buffer[] | null): TreeEntry[] {
  const base = path.replace(/\/+$/, "");
  const entries: TreeEntry[] = [];
  let root = true;
  for (const { below, ...entry } of parseAnswer(answer ?? [])) {
    if (!root) entries.push({ path: base + below, ...entry });
    else requireDirectory(path, entry);
    root = false;
  }
  return entries;
}

/** Its bytes are the same as long as the tree is: the order within a directory changes with the directory alone. */
async function surveyTree(channels: Channels, path: string, maximumEntries: number): Promise<TreeSurvey> {
  const answer = await scanRaw(channels, { path, maximumEntries, depth: wholeTree });
  const hash = createHash("sha1");
  for (const frame of answer ?? []) hash.update(frame);
  return { fingerprint: hash.digest("base64url"), entries: () => entriesBelow(path, answer) };
}

async function inspectEntries(channels: Channels, paths: readonly string[]): Promise<(TreeEntry | null)[]> {
  const limits = [encodeNumber(1, 4), encodeNumber(0, 4)];
  const requests = paths.map((path) => encodePath(channels, path));
  return channels.perform(async (channel) => {
    const found: (TreeEntry | null)[] = [];
    for (const [index, path] of paths.entries()) {
      if (index % inspectedAhead === 0)
        for (const request of requests.slice(index, index + inspectedAhead))
          void channel.write(frameTypes.scan, ...limits, request);
      const answer = await readAnswer(channel, path).catch((error: unknown) => {
        if (error instanceof SandboxFileError && error.code === "not_directory") return null;
        throw error;
      });
      const [entry] = parseAnswer(answer ?? []);
      // The root of a scan is told where it is, links followed.
      const itself = entry?.below === requests[index]?.toString("utf8", 0, requests[index].length - 1);
      if (entry === undefined || !itself) found.push(null);
      else {
        const { below: _below, ...told } = entry;
        found.push({ path, ...told });
      }
    }
    return found;
  });
}

function requireDirectory(path: string, root: Pick<ScannedEntry, "kind"> | undefined): void {
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
      return entriesBelow(path, await scanRaw(channels, { path, maximumEntries, depth: wholeTree }));
    },
    surveyTree: ({ path, maximumEntries = defaultMaximumEntries }) => surveyTree(channels, path, maximumEntries),
    inspectEntries: ({ paths }) => inspectEntries(channels, paths),
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

/** File operations of a local sandbox. Paths travel as data and are resolved inside. @module */
import type { DirectoryEntry, FileStat, SandboxSession, TreeEntry } from "../../contract.ts";
import { SandboxFileError } from "../../errors.ts";
import { ChannelLostError, type Channels, readAnswer, readFrame, toFileError } from "./channels.ts";
import type { FrameConnection } from "./connection.ts";
import { chunkBytes, encodeNumber, encodeString, frameTypes } from "./frames.ts";

type FileOperations = Pick<
  SandboxSession,
  "readFile" | "readBinaryFile" | "writeBinaryFile" | "stat" | "listDirectory" | "listTree" | "deleteFile"
>;

const kinds = ["other", "file", "directory", "symlink", "other"] as const;
const noLimit = (1n << 64n) - 1n;
/** What `readBinaryFile` takes into memory unless told otherwise. */
const defaultMaximumBytes = 256 << 20;
const defaultMaximumEntries = 200_000;
const treeNumbersBytes = 36;

function checkedPath(path: string): Buffer {
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new SandboxFileError("failed", path, "a path inside the sandbox is absolute and without NUL");
  }
  return encodeString(path);
}

/** Walks `u8 kind, u32 length, name` entries, each followed by `extra` bytes of numbers. */
function* parseEntries(batch: Buffer, extra: number): Generator<{ kind: number; name: string; numbers: Buffer }> {
  for (let at = 0; at < batch.length;) {
    const length = at + 5 <= batch.length ? batch.readUInt32LE(at + 1) : batch.length;
    const end = at + 5 + length;
    if (end + extra > batch.length) throw new ChannelLostError("the sandbox sent a malformed listing");
    const name = batch.subarray(at + 5, end).toString("utf8");
    yield { kind: batch.readUInt8(at), name, numbers: batch.subarray(end, end + extra) };
    at = end + extra;
  }
}

function parseTree(root: string, batches: readonly Buffer[]): TreeEntry[] {
  const entries: TreeEntry[] = [];
  const base = root.replace(/\/+$/, "");
  for (const batch of batches) {
    for (const { kind, name, numbers } of parseEntries(batch, treeNumbersBytes)) {
      const size = Number(numbers.readBigUInt64LE(0));
      const mode = numbers.readUInt32LE(8);
      entries.push({
        path: base + name,
        kind: kinds[kind] ?? "other",
        size,
        mode,
        modifiedAt: Number(numbers.readBigInt64LE(12)),
        fingerprint: `${numbers.readBigUInt64LE(20)}:${size}:${numbers.readBigUInt64LE(28)}:${mode}`,
      });
    }
  }
  return entries;
}

function parseStat(payload: Buffer): FileStat {
  if (payload.length !== 21) throw new ChannelLostError("the sandbox sent a malformed stat");
  const kind = kinds[payload.readUInt8(0)];
  return {
    kind: kind === "file" || kind === "directory" ? kind : "other",
    size: Number(payload.readBigUInt64LE(1)),
    mode: payload.readUInt32LE(9),
    modifiedAt: new Date(Number(payload.readBigInt64LE(13))),
  };
}

async function sendContent(channel: FrameConnection, content: Uint8Array): Promise<void> {
  for (let at = 0; at < content.length; at += chunkBytes) {
    await channel.write(frameTypes.streamData, content.subarray(at, at + chunkBytes));
  }
  await channel.write(frameTypes.streamEnd);
}

/** Starts a read and answers null, or a stream that holds its channel until it ends or is cancelled. */
async function openRead(channels: Channels, path: string): Promise<ReadableStream<Uint8Array> | null> {
  const request = [encodeNumber(noLimit, 8), checkedPath(path)];
  const channel = await channels.acquire();
  const next = async (): Promise<Buffer | null | "absent"> => {
    const frame = await readFrame(channel);
    if (frame.type === frameTypes.data) return frame.payload;
    channels.release(channel);
    if (frame.type === frameTypes.absent) return "absent";
    if (frame.type === frameTypes.error) throw toFileError(frame.payload, path);
    return null;
  };
  const fail = (error: unknown): never => {
    if (error instanceof SandboxFileError) throw error;
    channels.discard(channel);
    throw error;
  };
  await channel.write(frameTypes.read, ...request);
  const opening = await next().catch(fail);
  if (opening === "absent") return null;
  let first = opening;
  let ended = opening === null;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const bytes = ended ? null : (first ?? (await next().catch(fail)));
        first = null;
        if (bytes === null || bytes === "absent") {
          ended = true;
          return controller.close();
        }
        controller.enqueue(bytes);
      },
      cancel() {
        if (!ended) channels.discard(channel);
      },
    },
    { highWaterMark: 0 },
  );
}

export function createFileOperations(channels: Channels): FileOperations {
  const ask = (path: string, type: number, ...parts: Uint8Array[]): Promise<Buffer[] | null> =>
    channels.perform(async (channel) => {
      await channel.write(type, ...parts);
      return readAnswer(channel, path);
    });
  return {
    async readFile({ path }) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await openRead(channels, path);
        } catch (error) {
          if (!(error instanceof ChannelLostError) || attempt >= 4) throw error;
        }
      }
    },
    async readBinaryFile({ path, maximumBytes = defaultMaximumBytes }) {
      const parts = await ask(path, frameTypes.read, encodeNumber(maximumBytes, 8), checkedPath(path));
      return parts === null ? null : new Uint8Array(Buffer.concat(parts));
    },
    async writeBinaryFile({ path, content, mode }) {
      const request = [encodeNumber(mode ?? 0xffffffff, 4), checkedPath(path)];
      const answer = await channels.perform(async (channel) => {
        await channel.write(frameTypes.write, ...request);
        await sendContent(channel, content);
        return readAnswer(channel, path);
      });
      if (answer === null) throw new SandboxFileError("failed", path, `${path}: the directory vanished`);
    },
    async stat({ path }) {
      const request = checkedPath(path);
      return channels.perform(async (channel) => {
        await channel.write(frameTypes.stat, request);
        const frame = await readFrame(channel);
        if (frame.type === frameTypes.absent) return null;
        if (frame.type === frameTypes.error) throw toFileError(frame.payload, path);
        return parseStat(frame.payload);
      });
    },
    async listDirectory({ path }) {
      const batches = await ask(path, frameTypes.list, checkedPath(path));
      if (batches === null) return null;
      const entries: DirectoryEntry[] = [];
      for (const batch of batches) {
        for (const { kind, name } of parseEntries(batch, 0)) entries.push({ name, kind: kinds[kind] ?? "other" });
      }
      return entries;
    },
    async listTree({ path, maximumEntries = defaultMaximumEntries }) {
      const batches = await ask(path, frameTypes.tree, encodeNumber(maximumEntries, 4), checkedPath(path));
      return parseTree(path, batches ?? []);
    },
    async deleteFile({ path, recursive = false }) {
      const answer = await ask(path, frameTypes.delete, encodeNumber(recursive ? 1 : 0, 1), checkedPath(path));
      return answer !== null;
    },
  };
}

/** Puts files, directories and links into a local sandbox, with sizes and checksums that it verifies. @module */
import { crc32 } from "node:zlib";
import { SandboxFileError } from "../../errors.ts";
import type { FilePiece, PlacedEntry } from "../../session.ts";
import type { Channels } from "./channels.ts";
import type { FrameConnection } from "./connection.ts";
import { encodePath, resolvePath } from "./files.ts";
import { PlacingLane, readPlaced, toError } from "./placing-lane.ts";
import { chunkBytes, encodeNumber, encodeString, frameTypes } from "./frames.ts";

const entryKinds = { file: 1, directory: 2, symlink: 3 } as const;
const nowTime = (1n << 64n) - 1n;
/** So many are placed over one connection; more are worth opening others. */
const fewEntries = 32;
const mostLanes = 4;

/** Sends pieces and the size and checksum of them all. */
async function sendContent(
  channel: FrameConnection,
  pieces: Iterable<FilePiece> | AsyncIterable<FilePiece>,
): Promise<void> {
  let size = 0;
  let checksum = 0;
  const send = (type: number, payload: Uint8Array): Promise<void> => {
    checksum = crc32(payload, checksum);
    return channel.write(type, payload);
  };
  for await (const piece of pieces) {
    if (!(piece instanceof Uint8Array)) {
      await send(frameTypes.hole, encodeNumber(piece.holeBytes, 8));
      size += piece.holeBytes;
      continue;
    }
    for (let at = 0; at < piece.length; at += chunkBytes)
      await send(frameTypes.data, piece.subarray(at, at + chunkBytes));
    size += piece.length;
  }
  await channel.write(frameTypes.end, encodeNumber(size, 8), encodeNumber(checksum, 4));
}

function encodePlace(location: Buffer, entry: PlacedEntry): Buffer[] {
  const dated = entry.kind === "file" && entry.modifiedAt !== undefined;
  return [
    encodeNumber(entryKinds[entry.kind], 1),
    encodeNumber(entry.kind === "symlink" ? 0 : entry.mode, 4),
    encodeNumber(dated ? Math.max(0, Math.floor(entry.modifiedAt)) : nowTime, 8),
    location,
    encodeString(entry.kind === "symlink" ? entry.target : ""),
  ];
}

async function sendEntry(channels: Channels, channel: FrameConnection, entry: PlacedEntry): Promise<void> {
  const place = [frameTypes.place, ...encodePlace(encodePath(channels, entry.path), entry)] as const;
  if (entry.kind !== "file") return channel.writeFrames([place]);
  const { content } = entry;
  if (content instanceof Uint8Array && content.length <= chunkBytes) {
    const end = [frameTypes.end, encodeNumber(content.length, 8), encodeNumber(crc32(content), 4)] as const;
    const data = content.length === 0 ? [] : [[frameTypes.data, content] as const];
    return channel.writeFrames([place, ...data, end]);
  }
  await channel.writeFrames([place]);
  await sendContent(channel, content instanceof Uint8Array ? [content] : content);
}

/**
 * Files side by side over several connections, since a disk makes each of them wait; one path always over the same.
 * Everything else goes over the first, when all files before it are there, and the next file when all of it is.
 */
export async function placeEntries(
  channels: Channels,
  entries: Iterable<PlacedEntry> | AsyncIterable<PlacedEntry>,
): Promise<void> {
  const lanes = [await PlacingLane.open(channels)];
  const settled = (): Promise<unknown> => Promise.all(lanes.map((lane) => lane.settled()));
  let count = 0;
  let before: PlacedEntry["kind"] = "file";
  let failure: Error | undefined;
  try {
    for await (const entry of entries) {
      count += 1;
      const more = count > fewEntries && lanes.length < mostLanes;
      const turns = (entry.kind === "file") !== (before === "file");
      if (more || (turns && lanes.length > 1)) await settled();
      while (count > fewEntries && lanes.length < mostLanes) lanes.push(await PlacingLane.open(channels));
      if (lanes.some((lane) => lane.failure !== undefined)) break;
      before = entry.kind;
      const lane = entry.kind === "file" ? lanes[crc32(entry.path) % lanes.length] : lanes[0];
      await lane?.send(entry, (channel) => sendEntry(channels, channel, entry));
    }
  } catch (error) {
    failure = toError(error);
  }
  await settled();
  failure ??= lanes.find((lane) => lane.failure !== undefined)?.failure;
  for (const lane of lanes) lane.close();
  if (failure !== undefined) throw failure;
}

/** A link is written through, as an editor would; a file keeps its mode. */
export async function writeContent(
  channels: Channels,
  path: string,
  mode: number | undefined,
  content: AsyncIterable<Uint8Array> | Uint8Array,
): Promise<void> {
  const { location, found } = await resolvePath(channels, path);
  if (found !== null && found.kind !== "file") {
    const code = found.kind === "directory" ? "is_directory" : "not_regular";
    throw new SandboxFileError(code, path, `${path}: is not a regular file`);
  }
  const request = encodePlace(location, { kind: "file", path, mode: mode ?? found?.mode ?? 0o644, content });
  const once = async (channel: FrameConnection): Promise<void> => {
    await channel.write(frameTypes.place, ...request);
    await sendContent(channel, content instanceof Uint8Array ? [content] : content);
    await readPlaced(channel, path);
  };
  if (content instanceof Uint8Array) return channels.perform(once);
  const channel = await channels.acquire();
  try {
    await once(channel);
  } catch (error) {
    channels.discard(channel);
    throw error;
  }
  channels.release(channel);
}

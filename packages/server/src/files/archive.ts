/**
 * Tar archives (POSIX ustar, with GNU's long names, which every tar understands), for copies that go into a sandbox and
 * come out of it by commands alone. What is written is deterministic: no times, no owners.
 * @module
 */

export type ArchivedEntry =
  | { readonly type: "file"; readonly path: string; readonly bytes: Uint8Array; readonly mode: number }
  | { readonly type: "directory"; readonly path: string; readonly mode: number }
  | { readonly type: "link"; readonly path: string; readonly target: string };

const blockBytes = 512;
const longestName = 100;
const encoder = new TextEncoder();
const nothing = new Uint8Array();

/**
 * @param entries Paths are absolute; the archive holds them without the leading slash.
 * @example const bytes = Buffer.concat([...writeArchive(entries)])
 */
export function* writeArchive(entries: Iterable<ArchivedEntry>): Generator<Uint8Array> {
  yield* archiveEntries(entries);
  yield endOfArchive();
}

/** Without the end: for an archive that is written part by part. */
export function* archiveEntries(entries: Iterable<ArchivedEntry>): Generator<Uint8Array> {
  for (const entry of entries) {
    const name = encoder.encode(entry.path.slice(1));
    const target = entry.type === "link" ? encoder.encode(entry.target) : nothing;
    if (name.length > longestName) yield* long("L", name);
    if (target.length > longestName) yield* long("K", target);
    const header = { name, target };
    if (entry.type === "file") yield* member({ ...header, type: "0", mode: entry.mode }, entry.bytes);
    else if (entry.type === "directory") yield* member({ ...header, type: "5", mode: entry.mode }, nothing);
    else yield* member({ ...header, type: "2", mode: 0o777 }, nothing);
  }
}

/** What ends an archive. */
export function endOfArchive(): Uint8Array {
  return new Uint8Array(2 * blockBytes);
}

interface Header {
  readonly name: Uint8Array;
  readonly target: Uint8Array;
  readonly type: "0" | "2" | "5" | "L" | "K";
  readonly mode: number;
}

/** The name of the member that follows, or where it leads. */
function long(type: "L" | "K", text: Uint8Array): Generator<Uint8Array> {
  const terminated = new Uint8Array(text.length + 1);
  terminated.set(text);
  return member({ name: encoder.encode("././@LongLink"), target: nothing, type, mode: 0o644 }, terminated);
}

function* member({ name, target, type, mode }: Header, bytes: Uint8Array): Generator<Uint8Array> {
  const header = new Uint8Array(blockBytes);
  const put = (offset: number, text: string) => header.set(encoder.encode(text), offset);
  const number = (offset: number, digits: number, value: number) =>
    put(offset, `${value.toString(8).padStart(digits, "0")}\0`);
  header.set(name.subarray(0, longestName), 0);
  number(100, 7, mode);
  number(108, 7, 0);
  number(116, 7, 0);
  number(124, 11, bytes.length);
  number(136, 11, 0);
  put(148, "        ");
  put(156, type);
  header.set(target.subarray(0, longestName), 157);
  put(257, "ustar\0");
  put(263, "00");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  yield header;
  yield bytes;
  const rest = bytes.length % blockBytes;
  if (rest > 0) yield new Uint8Array(blockBytes - rest);
}

/** One regular file of an archive. A further name of a file in it has that file's bytes. */
export interface ReadMember {
  /** As the archive has it. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * The regular files of an archive; everything else is passed over. Understands ustar, GNU's long names and pax paths.
 * @throws Error for what is no archive, or the beginning of one
 * @example readArchive(Buffer.concat([...writeArchive(entries)])).map(({ name }) => name)
 */
export function readArchive(archive: Uint8Array): ReadMember[] {
  const buffer = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const files = new Map<string, Uint8Array>();
  let next: { name?: string; target?: string; size?: number } = {};
  for (let at = 0; at + blockBytes <= buffer.length;) {
    const header = buffer.subarray(at, at + blockBytes);
    if (header.every((byte) => byte === 0)) return [...files].map(([name, bytes]) => ({ name, bytes }));
    const type = String.fromCharCode(header[156] ?? 0);
    const size = next.size ?? sizeIn(header);
    const begin = at + blockBytes;
    if (begin + size > buffer.length) break;
    const bytes = buffer.subarray(begin, begin + size);
    at = begin + Math.ceil(size / blockBytes) * blockBytes;
    if (type === "L") next.name = textIn(bytes);
    else if (type === "K") next.target = textIn(bytes);
    else if (type === "x") next = { ...next, ...paxIn(bytes) };
    else if (type !== "g") {
      const name = next.name ?? nameIn(header);
      if (type === "0" || type === "\0") files.set(name, bytes);
      const linked = type === "1" ? files.get(next.target ?? textIn(header.subarray(157, 257))) : undefined;
      if (linked !== undefined) files.set(name, linked);
      next = {};
    }
  }
  throw new Error("the archive ends too early");
}

function textIn(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

function nameIn(header: Buffer): string {
  const prefix = header.toString("latin1", 257, 263) === "ustar\0" ? textIn(header.subarray(345, 500)) : "";
  const name = textIn(header.subarray(0, longestName));
  return prefix === "" ? name : `${prefix}/${name}`;
}

function sizeIn(header: Buffer): number {
  const size = Number.parseInt(header.toString("latin1", 124, 136).replaceAll(/[\0 ]/g, ""), 8);
  if (!Number.isSafeInteger(size) || size < 0) throw new Error("the archive has a member of no size");
  return size;
}

/** Records of pax: `length key=value` and a line feed, where the length, in decimal, counts all of it. */
function paxIn(bytes: Buffer): { name?: string; target?: string; size?: number } {
  const found: { name?: string; target?: string; size?: number } = {};
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString("latin1", at, space));
    if (space < 0 || !Number.isInteger(length) || length <= space - at)
      throw new Error("the archive has no such record");
    const record = bytes.toString("utf8", space + 1, at + length - 1);
    const [key, value] = [record.slice(0, record.indexOf("=")), record.slice(record.indexOf("=") + 1)];
    if (key === "path") found.name = value;
    if (key === "linkpath") found.target = value;
    if (key === "size") found.size = Number(value);
    at += length;
  }
  return found;
}

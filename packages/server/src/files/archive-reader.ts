/**
 * Reads a tar archive (POSIX ustar with pax headers, and GNU's long names) that somebody sends. Everything in it is
 * hostile: sizes are checked before they are used, and only files and directories are taken.
 * @module
 */
import { FileError } from "./store.ts";

/** A regular file of an archive; directories are made by what lies in them. */
export interface ArchiveMember {
  /** As the archive has it, without a leading `./`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable: boolean;
}

const blockBytes = 512;
const mostMembers = 20_000;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const kinds: Readonly<Record<string, string>> = {
  "1": "a hard link",
  "2": "a symbolic link",
  "3": "a device",
  "4": "a device",
  "6": "a named pipe",
};

/** @throws FileError naming the member and what is wrong with it */
export function readArchive(archive: Uint8Array): readonly ArchiveMember[] {
  const members: ArchiveMember[] = [];
  let longName: string | null = null;
  for (let offset = 0; offset + blockBytes <= archive.length;) {
    const header = archive.subarray(offset, offset + blockBytes);
    if (header.every((byte) => byte === 0)) return members;
    checkSum(header, offset);
    const type = String.fromCharCode(header[156] ?? 0);
    const name: string = longName ?? nameOf(header);
    const size = numberAt(header, 124, 12, name);
    const start = offset + blockBytes;
    if (start + size > archive.length) throw broken(`ends within ${JSON.stringify(name)}`);
    const bytes = archive.subarray(start, start + size);
    offset = start + Math.ceil(size / blockBytes) * blockBytes;
    if (type === "x") longName = paxPath(bytes) ?? longName;
    else if (type === "L") longName = text(bytes, "a long name").replace(/\0+$/, "");
    else if (type !== "g") {
      longName = null;
      const member = memberOf(type, name, bytes, numberAt(header, 100, 8, name));
      if (member !== null) members.push(member);
      if (members.length > mostMembers) throw broken(`has more than ${mostMembers} files`);
    }
  }
  if (archive.length === 0) throw broken("is empty");
  return members;
}

function memberOf(type: string, name: string, bytes: Uint8Array, mode: number): ArchiveMember | null {
  if (type === "5") return null;
  const kind = kinds[type];
  if (kind !== undefined)
    throw new FileError("invalid_path", `${JSON.stringify(name)} is ${kind}: only files are taken.`);
  if (type !== "0" && type !== "\0" && type !== "7")
    throw broken(`has ${JSON.stringify(name)} of an unknown type ${JSON.stringify(type)}`);
  return { path: name.replace(/^(\.\/)+/, ""), bytes, executable: (mode & 0o111) !== 0 };
}

function checkSum(header: Uint8Array, offset: number): void {
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  if (sum !== numberAt(header, 148, 8, `the header at byte ${offset}`))
    throw broken(`has a header with a wrong sum at byte ${offset}`);
}

/** Octal digits; a size of more than 8 GiB would be binary, and is refused. */
function numberAt(header: Uint8Array, start: number, length: number, name: string): number {
  const digits = String.fromCharCode(...header.subarray(start, start + length))
    .replace(/\0.*$/s, "")
    .trim();
  if (digits === "") return 0;
  if (!/^[0-7]{1,12}$/.test(digits)) throw broken(`has a number that is none in ${JSON.stringify(name)}`);
  return Number.parseInt(digits, 8);
}

function nameOf(header: Uint8Array): string {
  const field = (start: number, length: number) => {
    const bytes = header.subarray(start, start + length);
    const end = bytes.indexOf(0);
    return text(end < 0 ? bytes : bytes.subarray(0, end), "a name");
  };
  const [name, prefix] = [field(0, 100), field(345, 155)];
  const isUstar = String.fromCharCode(...header.subarray(257, 262)) === "ustar";
  return isUstar && prefix !== "" ? `${prefix}/${name}` : name;
}

/** Records of the form `<length> <key>=<value>\n`; the length counts itself. */
function paxPath(bytes: Uint8Array): string | null {
  let path: string | null = null;
  for (let offset = 0; offset < bytes.length;) {
    const digits = /^\d{1,9}(?= )/.exec(String.fromCharCode(...bytes.subarray(offset, offset + 10)))?.[0];
    const length = Number(digits);
    if (digits === undefined || length <= digits.length || offset + length > bytes.length)
      throw broken("has a pax header that cannot be read");
    const record = text(bytes.subarray(offset + digits.length + 1, offset + length - 1), "a pax header");
    if (record.startsWith("path=")) path = record.slice(5);
    offset += length;
  }
  return path;
}

function text(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw broken(`has ${what} that is not UTF-8`);
  }
}

function broken(what: string): FileError {
  return new FileError("failed", `The archive ${what}. Nothing was stored.`);
}

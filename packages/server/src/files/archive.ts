/**
 * Writes a tar archive (POSIX ustar; a pax header for paths that do not fit), for laying many files into a sandbox at
 * once. Deterministic: no times, no owners.
 * @module
 */

export interface ArchivedFile {
  /** Absolute; the archive holds it without the leading slash. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  /** Has no bytes. */
  readonly directory?: boolean;
}

const blockBytes = 512;
const encoder = new TextEncoder();

/** @example const bytes = Buffer.concat([...writeArchive(files)]) */
export function* writeArchive(files: Iterable<ArchivedFile>): Generator<Uint8Array> {
  for (const file of files) yield* archiveEntry(file);
  yield archiveEnd();
}

/** One file of an archive that is written bit by bit; {@link archiveEnd} comes last. */
export function* archiveEntry({ path, bytes, mode, directory = false }: ArchivedFile): Generator<Uint8Array> {
  const shown = directory ? `${path.slice(1)}/` : path.slice(1);
  const name = encoder.encode(shown);
  if (name.length > 100) yield* entry(encoder.encode("pax"), "x", paxPath(shown), 0o644);
  yield* entry(name.subarray(0, 100), directory ? "5" : "0", bytes, mode);
}

export function archiveEnd(): Uint8Array {
  return new Uint8Array(2 * blockBytes);
}

function* entry(name: Uint8Array, type: "0" | "5" | "x", bytes: Uint8Array, mode: number): Generator<Uint8Array> {
  const header = new Uint8Array(blockBytes);
  const put = (offset: number, text: string) => header.set(encoder.encode(text), offset);
  const number = (offset: number, digits: number, value: number) =>
    put(offset, `${value.toString(8).padStart(digits, "0")}\0`);
  header.set(name, 0);
  number(100, 7, mode);
  number(108, 7, 0);
  number(116, 7, 0);
  number(124, 11, bytes.length);
  number(136, 11, 0);
  put(148, "        ");
  put(156, type);
  put(257, "ustar\0");
  put(263, "00");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  yield header;
  yield bytes;
  const rest = bytes.length % blockBytes;
  if (rest > 0) yield new Uint8Array(blockBytes - rest);
}

/** One pax record: its own length in decimal, a space, `path=…`, a line feed. */
function paxPath(path: string): Uint8Array {
  const body = ` path=${path}\n`;
  const size = encoder.encode(body).length;
  let length = size + String(size).length;
  if (String(length).length > String(size).length) length = size + String(length).length;
  return encoder.encode(`${length}${body}`);
}

import { expect, test } from "vitest";
import { writeArchive } from "./archive.ts";
import { readArchive } from "./archive-reader.ts";
import { FileError } from "./store.ts";
import { encodeText } from "./text.ts";

const archiveOf = (...paths: readonly string[]) =>
  Buffer.concat([
    ...writeArchive(paths.map((path) => ({ type: "file" as const, path, bytes: encodeText(path), mode: 0o755 }))),
  ]);

/** Changes the header of the first member and sets its sum right. */
function changed(archive: Buffer, offset: number, bytes: string): Buffer {
  archive.write(bytes, offset, "latin1");
  archive.write("        ", 148, "latin1");
  const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return archive;
}

function failure(archive: Uint8Array): string {
  try {
    readArchive(archive);
    return "none";
  } catch (error) {
    return error instanceof FileError ? error.message : `unexpected: ${String(error)}`;
  }
}

test("what is written is read, long names too", () => {
  const long = `/${"d".repeat(120)}/é.md`;
  const members = readArchive(archiveOf("/a.md", long));
  expect(members.map(({ path, executable }) => [path, executable])).toEqual([
    ["a.md", true],
    [long.slice(1), true],
  ]);
  expect(readArchive(new Uint8Array(1024))).toEqual([]);
});

test.each([
  ["nothing", new Uint8Array(), /is empty/],
  ["no archive", encodeText("x".repeat(2000)), /header/],
  ["a symbolic link", changed(archiveOf("/a"), 156, "2"), /"a" is a symbolic link: only files/],
  ["a hard link", changed(archiveOf("/a"), 156, "1"), /"a" is a hard link/],
  ["a device", changed(archiveOf("/a"), 156, "3"), /"a" is a device/],
  ["something unknown", changed(archiveOf("/a"), 156, "S"), /unknown type/],
  ["a size beyond its end", changed(archiveOf("/a"), 124, "77777777777"), /ends within "a"/],
  ["a size that is no number", changed(archiveOf("/a"), 124, "zz"), /number that is none in "a"/],
  ["a name that is not UTF-8", changed(archiveOf("/a"), 0, "\xff"), /name that is not UTF-8/],
  ["a broken pax header", changed(archiveOf("/a"), 156, "x"), /pax header/],
  ["a wrong sum", Buffer.concat([Buffer.from("b"), archiveOf("/a").subarray(1)]), /wrong sum/],
])("%s is refused", (_what, archive, message) => {
  expect(failure(archive)).toMatch(message);
});

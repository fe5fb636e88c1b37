import { randomBytes } from "node:crypto";
import { ZipFile } from "yazl";
import { describe, expect, it } from "vitest";
import { encodeText } from "../../files/text.ts";
import { SkillSourceError } from "./skill-source.ts";
import { unzipSkill, zipSkill } from "./zip.ts";

interface Raw {
  readonly path: string;
  readonly bytes?: Uint8Array;
  readonly mode?: number;
}

async function archiveOf(...files: Raw[]): Promise<Buffer> {
  const archive = new ZipFile();
  for (const { path, bytes = encodeText("x"), mode = 0o100644 } of files)
    archive.addBuffer(Buffer.from(bytes), path, { mode });
  archive.end();
  const chunks: Buffer[] = [];
  for await (const chunk of archive.outputStream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** Gives an entry a name that no archiver would write, of the same length. */
function renamed(archive: Buffer, from: string, to: string): Buffer {
  const text = archive.toString("latin1");
  expect(from.length).toBe(to.length);
  return Buffer.from(text.replaceAll(from, to), "latin1");
}

const told = (work: Promise<unknown>) =>
  work.then(
    () => "taken",
    (error: unknown) => (error instanceof SkillSourceError ? error.message : String(error)),
  );

const skill = [
  { path: "SKILL.md", bytes: encodeText("---\nname: review\ndescription: x\n---\n") },
  { path: "scripts/run.sh", bytes: encodeText("#!/bin/sh\n"), executable: true },
  { path: "ä/日本.md", bytes: encodeText("x") },
  { path: "empty", bytes: new Uint8Array() },
];

describe("a zip", () => {
  it("holds a skill and gives it back", async () => {
    const source = await unzipSkill(await zipSkill("review", skill));
    expect(source.directory).toBe("review");
    const sorted = (files: typeof source.files) => [...files].sort((left, right) => (left.path < right.path ? -1 : 1));
    expect(sorted(source.files).map(({ path, bytes, executable }) => [path, Buffer.from(bytes), executable])).toEqual(
      sorted(skill).map(({ path, bytes, executable }) => [path, Buffer.from(bytes), executable === true]),
    );
  });

  it("is the same for the same skill", async () => {
    expect(await zipSkill("review", skill.toReversed())).toEqual(await zipSkill("review", skill));
  });

  it("may have no directory, and what file managers leave in it", async () => {
    const source = await unzipSkill(
      await archiveOf(
        { path: "SKILL.md" },
        { path: "__MACOSX/._SKILL.md" },
        { path: "a/.DS_Store" },
        { path: ".exoloop-files.json" },
        { path: "a/b" },
      ),
    );
    expect(source).toMatchObject({ directory: null, files: [{ path: "SKILL.md" }, { path: "a/b" }] });
  });

  it.each([
    ["nothing", () => archiveOf(), "There is no file in it"],
    [
      "two directories",
      () => archiveOf({ path: "a/SKILL.md" }, { path: "b/SKILL.md" }),
      'lie in 2 directories ("a", "b")',
    ],
    ["a lone file", () => archiveOf({ path: "README.md" }), "SKILL.md is missing at its top"],
    [
      "a way out",
      async () => renamed(await archiveOf({ path: "aaaa/bb/x" }), "aaaa/bb/x", "aaaa/../x"),
      "invalid relative path",
    ],
    ["an absolute path", async () => renamed(await archiveOf({ path: "aetc/x" }), "aetc/x", "/etc/x"), "absolute path"],
    [
      "a backslash",
      async () => renamed(await archiveOf({ path: "aetc/x" }), "aetc/x", "aetc\\x"),
      "invalid characters",
    ],
    [
      "a symbolic link",
      () => archiveOf({ path: "SKILL.md" }, { path: "link", mode: 0o120777 }),
      '"link" in the zip is a symbolic link',
    ],
    [
      "a device",
      () => archiveOf({ path: "SKILL.md" }, { path: "null", mode: 0o020666 }),
      '"null" in the zip is a symbolic link or another',
    ],
    [
      "a bomb",
      () => archiveOf({ path: "SKILL.md" }, { path: "a", bytes: new Uint8Array(9_000_000) }),
      "as a bomb does",
    ],
    [
      "a large file",
      () => archiveOf({ path: "SKILL.md", bytes: new Uint8Array(10_485_761) }),
      "10485761 bytes; at most",
    ],
    [
      "many entries",
      () => archiveOf(...Array.from({ length: 2_001 }, (_, at) => ({ path: `d/${at}` }))),
      "2001 entries; at most 2000",
    ],
    ["no zip", () => Promise.resolve(Buffer.from("PK? no")), "The zip cannot be read"],
    ["half a zip", async () => (await zipSkill("review", skill)).subarray(0, 100), "The zip cannot be read"],
  ])("is refused with %s", async (_title, make, message) => {
    expect(await told(unzipSkill(await make()))).toContain(message);
  });

  it("is refused when all its files together are too large", async () => {
    const archive = archiveOf(
      { path: "SKILL.md" },
      ...[1, 2, 3, 4].map((at) => ({ path: `${at}`, bytes: randomBytes(8_000_000) })),
    );
    expect(await told(unzipSkill(await archive))).toContain("unpacks to more than 31457280 bytes");
  });

  it("is refused when its directory lies about a size, or about a content", async () => {
    const archive = Buffer.from(await archiveOf({ path: "SKILL.md", bytes: encodeText("x".repeat(5_000)) }));
    const directory = archive.lastIndexOf(Buffer.from("PK\u0001\u0002", "latin1"));
    const shorter = Buffer.from(archive);
    shorter.writeUInt32LE(10, directory + 24);
    expect(await told(unzipSkill(shorter))).toContain("The zip cannot be read");
    const other = Buffer.from(archive);
    other.writeUInt32LE(0x12345678, directory + 16);
    expect(await told(unzipSkill(other))).toContain("The zip is damaged");
  });

  it("that is damaged anywhere is refused as such, or taken", async () => {
    const archive = Buffer.from(await zipSkill("review", skill));
    const odd: unknown[] = [];
    for (let at = 0; at < archive.length; at += 7) {
      const broken = Buffer.from(archive);
      broken[at] = (broken[at] ?? 0) ^ 0xff;
      await unzipSkill(broken).catch((error: unknown) => {
        if (!(error instanceof SkillSourceError)) odd.push(error);
      });
    }
    expect(odd).toEqual([]);
  });
});

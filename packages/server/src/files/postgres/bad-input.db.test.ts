import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount as memory, skillsMount, type StoredMount } from "../mounts.ts";
import { FileError } from "../store.ts";
import { encodeText } from "../text.ts";
import type { ImportedFile } from "./history/exchange.ts";
import { createStoredFiles, type StoredFiles } from "./stored-files.ts";
import { actorOf, createTestOrganization } from "./testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;

beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
});

const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) =>
      error instanceof FileError ? `${error.code}: ${error.message}` : `unexpected: ${String(error)}`,
  );
const text = (path: string, content = "x"): ImportedFile => ({ path, bytes: encodeText(content) });
const bring = (entries: readonly ImportedFile[], mount: StoredMount = memory) =>
  files.history.importFiles({
    mount,
    actor: actorOf(organizationId, null, "import"),
    directory: mount.prefix,
    files: entries,
  });

/** Rows of this organization in every table of files. */
async function rows(): Promise<number> {
  let count = 0;
  for (const table of ["file_entries", "file_versions", "file_blobs", "file_texts", "file_conflicts"] as const) {
    const found = await test.database
      .selectFrom(table)
      .select((expression) => expression.fn.countAll<number>().as("count"))
      .where("organization_id", "=", organizationId)
      .executeTakeFirstOrThrow();
    count += Number(found.count);
  }
  return count;
}

const megabyte = 1024 * 1024;
/** Of each: what comes among nineteen good files, and the error, which names the file and the rule. */
const bad: readonly (readonly [string, ImportedFile, RegExp])[] = [
  ["leads upwards", text("../x.md"), /^invalid_path: .*"\.\.\/x\.md".* nothing may lead upwards/],
  ["leads upwards within", text("a/../../x.md"), /^invalid_path: .*"a\/\.\.\/\.\.\/x\.md".* upwards/],
  ["is absolute", text("/etc/passwd"), /^invalid_path: .*"\/etc\/passwd".* absolute/],
  ["is absolute elsewhere", text("C:\\x.md"), /^invalid_path: .*absolute/],
  ["is encoded", text("%2e%2e/x.md"), /^invalid_path: .*%2e%2e\/x\.md" .*encoded/],
  ["is encoded otherwise", text("a%2Fb.md"), /^invalid_path: .*a%2Fb\.md" .*encoded/],
  ["holds NUL", text("a\0b.md"), /^invalid_path: .*not valid text/],
  ["holds a line feed", text("a\nb.md"), /^invalid_path: .*control character/],
  ["turns the direction", text("a\u202egnp.md"), /^invalid_path: .*invisible/],
  ["holds a zero-width space", text("a\u200bb.md"), /^invalid_path: .*invisible/],
  ["holds half a character", text("a\ud800.md"), /^invalid_path: .*not valid text/],
  ["is empty", text(""), /^invalid_path/],
  ["has no name", text("./"), /^invalid_path: .*no name/],
  ["ends with a space", text("a .md /b"), /^invalid_path: .*space/],
  ["has a long name", text(`${"n".repeat(256)}`), /^invalid_path: .*255 bytes/],
  ["is a long path", text(`${"d".repeat(200)}/`.repeat(5) + "x".repeat(50)), /^invalid_path: .*1024 bytes/],
  ["is deep", text(`${"d/".repeat(20)}x`), /^invalid_path: .*20 segments/],
  ["is a twin", text("GOOD1.md"), /^path_conflict: \/memory\/org\/(GOOD1|good1)\.md differs only in case/],
  ["has a twin's directory", text("Dir/x.md"), /^path_conflict: \/memory\/org\/(Dir|dir).* differs only in case/],
  ["lies below a file", text("good2.md/x"), /^(path_conflict|is_directory): \/memory\/org\/good2\.md/],
  ["is there twice", text("good3.md", "other"), /^path_conflict: .*"good3\.md" is there twice/],
  ["is there composed and decomposed", text("caf\u0065\u0301.md"), /^path_conflict: .* is there twice/],
  ["is too large", text("large.md", "x".repeat(megabyte + 1)), /^too_large: \/memory\/org\/large\.md .*1048577 bytes/],
  ["is not UTF-8", { path: "latin.md", bytes: Uint8Array.of(0xe9) }, /^binary: \/memory\/org\/latin\.md is binary/],
  ["holds NUL inside", { path: "nul.md", bytes: Uint8Array.of(97, 0) }, /^binary: \/memory\/org\/nul\.md is binary/],
];

const good = [
  ...Array.from({ length: 17 }, (_, index) => text(`good${index}.md`)),
  text("dir/inside.md"),
  text("caf\u00e9.md"),
];

describe("one bad file among twenty", () => {
  it.each(bad)("that %s stores nothing", async (_why, file, message) => {
    for (const place of [0, 10, 19]) {
      expect(await failure(bring([...good.slice(0, place), file, ...good.slice(place)]))).toMatch(message);
    }
    expect(await rows()).toBe(0);
    expect(await files.revision(organizationId, memory)).toBe(0);
  });

  it("is the only thing that was wrong", async () => {
    expect(await failure(bring(good))).toBe("none");
    expect(await files.manifest(organizationId, memory)).toHaveLength(19);
  });

  it.each([
    ["GOOD1.md", /^path_conflict: .*only in case/],
    ["DIR/other.md", /^path_conflict: .*only in case/],
    ["dir", /^is_directory/],
    ["good1.md/below", /^path_conflict: .*nothing can lie below/],
  ])("is refused beside what is there: %s", async (path, message) => {
    await bring(good);
    const before = await rows();
    expect(await failure(bring([text("new.md"), text(path)]))).toMatch(message);
    expect(await rows()).toBe(before);
    expect(await files.revision(organizationId, memory)).toBe(1);
  });
});

describe("limits", () => {
  it("of a mount are those of its files together", async () => {
    const small = { ...memory, maximumFiles: 3, maximumBytes: 100 };
    const names = (...paths: readonly string[]) => paths.map((path) => text(path));
    expect(await failure(bring(names("a", "b", "c", "d"), small))).toMatch(/^too_large: .*at most 3 files/);
    expect(await failure(bring([text("a", "x".repeat(101))], small))).toMatch(/^too_large: .*at most 100 bytes/);
    expect(await failure(bring(names("a/b/c/d/x"), small))).toMatch(/^too_large: .*at most 3 directories/);
    expect(await rows()).toBe(0);
    expect(await failure(bring(names("a", "b", "c"), small))).toBe("none");
    expect(await failure(bring(names("d"), small))).toMatch(/^too_large/);
    expect(await failure(bring([text("a", "x".repeat(98))], small))).toBe("none");
    expect(await failure(bring([text("b", "yy")], small))).toMatch(/^too_large: .*at most 100 bytes/);
  });

  it("of binary files are those of the mount", async () => {
    const binary = (size: number) => ({ path: "s/data.bin", bytes: new Uint8Array(size) });
    const binaries = { ...memory, maximumBinaryBytes: skillsMount.maximumBinaryBytes };
    expect(await failure(bring([binary(10 * megabyte + 1)], binaries))).toMatch(/^too_large: .*10485760 per file/);
    expect(await failure(bring([binary(10 * megabyte)], binaries))).toBe("none");
  });
});

describe("the second wall", () => {
  it("is Postgres, which refuses paths that the server should have", async () => {
    const insert = (path: string) =>
      test.database
        .insertInto("file_entries")
        .values({
          organization_id: organizationId,
          mount: memory.key,
          path,
          folded_path: path,
          kind: "directory",
          version: 1,
          revision: 1,
        })
        .execute();
    await bring([text("a")]);
    for (const path of ["", "a", "/", "/a//b", "/a/", "/a/../b", "/./a", "/..", `/${"x".repeat(1024)}`])
      await expect(insert(path)).rejects.toThrow(/file_entries_path_form/);
    await expect(insert("/..a/b..")).resolves.toBeDefined();
  });
});

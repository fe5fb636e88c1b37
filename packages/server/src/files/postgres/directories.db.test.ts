import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { organizationMemoryMount as memory } from "../mounts.ts";
import { type DirectoryOperations, FileError, type FileStore } from "../store.ts";
import { decodeText, encodeText } from "../text.ts";
import type { FileChange } from "./change.ts";
import { listEntries } from "./listing.ts";
import { createStoredFiles, type StoredFiles } from "./stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "./testing.ts";

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let sessionId: string;
let store: FileStore & DirectoryOperations;

beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  sessionId = await createTestSession(test.database, organizationId);
  store = files.open({ organizationId, sessionId }, memory);
});

const at = (path: string) => `/memory/org${path}`;
const actor = () => actorOf(organizationId, sessionId);
const put = (path: string, text: string) => store.write(at(path), encodeText(text), actor());
/** Read by nobody, so that the session knows no more of it. */
const textOf = async (path: string) =>
  decodeText((await files.open({ organizationId, sessionId: null }, memory).read(at(path))).bytes);
const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof FileError ? `${error.code}: ${error.message}` : String(error)),
  );
const names = async (path: string) => (await store.list(at(path), 100)).map((found) => found.path.slice(11));
const commit = (...changes: readonly FileChange[]) =>
  files.commit({ mount: memory, actor: actor(), paths: [] }, () => ({ changes, result: null }));
const history = () =>
  test.database
    .selectFrom("file_versions")
    .select(["revision", "ordinal", "operation", "path", "version", "other_path", "memory_id"])
    .where("organization_id", "=", organizationId)
    .orderBy("revision")
    .orderBy("ordinal")
    .execute();
const told = async () => (await history()).map((row) => `${row.revision} ${row.operation} ${row.path} ${row.version}`);
const counters = () =>
  test.database
    .selectFrom("file_mounts")
    .select(["revision", "files", "directories", "bytes"])
    .where("organization_id", "=", organizationId)
    .executeTakeFirstOrThrow();

describe("directories", () => {
  it("are made with files, stay without them, and have a history", async () => {
    await put("/a/b/x.md", "1");
    await store.remove(at("/a/b/x.md"), actor());
    expect(await store.stat(at("/a/b"))).toMatchObject({ kind: "directory" });
    await store.makeDirectory(at("/a/b"), actor());
    await store.makeDirectory(at("/c"), actor());
    expect(await store.removeTree(at("/a"), actor())).toEqual({ files: 0 });
    expect(await told()).toEqual([
      "1 make_directory /a 1",
      "1 make_directory /a/b 1",
      "1 create /a/b/x.md 1",
      "2 delete /a/b/x.md 2",
      "3 make_directory /c 1",
      "4 remove_directory /a/b 2",
      "4 remove_directory /a 2",
    ]);
    expect(await counters()).toEqual({ revision: 4, files: 0, directories: 1, bytes: 0 });
  });

  it("are listed by what lies directly in them", async () => {
    await put("/a/x.md", "12");
    await put("/a/deep/y.md", "1");
    await put("/a-b.md", "1");
    expect(await names("/a")).toEqual(["/a/deep", "/a/x.md"]);
    expect(await names("")).toEqual(["/a", "/a-b.md"]);
    // Letters that are two units here and one in Postgres.
    await put("/😀😀😀/b/z.md", "1");
    const listed = await listEntries(test.database, organizationId, memory, at("/😀😀😀"), { limit: 9 });
    expect(listed.map(({ path }) => path)).toEqual([at("/😀😀😀/b")]);
    expect(await store.stat(at("/a/x.md"))).toMatchObject({ kind: "file", size: 2, executable: false });
    expect(await store.stat(at("/none"))).toBeNull();
    expect(await store.stat("/memory/org")).toMatchObject({ kind: "directory" });
    expect(await failure(store.list(at("/none"), 9))).toMatch(/^not_found/);
    expect(await failure(store.list(at("/a/x.md"), 9))).toMatch(/^not_directory/);
  });

  it("are told by every way of looking back", async () => {
    await put("/a/x.md", "1");
    await store.removeTree(at("/a"), actor());
    await store.makeDirectory(at("/b"), actor());
    const seen = await files.atRevision(organizationId, memory, 1);
    expect(seen.map(({ path, kind }) => [path, kind])).toEqual([
      [at("/a"), "directory"],
      [at("/a/x.md"), "file"],
    ]);
    const changes = await files.changesSince(organizationId, memory, 1);
    expect(new Map(changes.map(({ path, kind }) => [path, kind]))).toEqual(
      new Map([
        [at("/a"), "absent"],
        [at("/a/x.md"), "absent"],
        [at("/b"), "directory"],
      ]),
    );
    expect((await files.directories(organizationId, memory)).map(({ path }) => path)).toEqual([at("/b")]);
  });

  it("are removed only when empty", async () => {
    await put("/a/x.md", "1");
    expect(await failure(commit({ type: "remove_directory", path: at("/a") }))).toBe(
      "path_conflict: /memory/org/a is not empty, so it was not removed.",
    );
    await commit({ type: "remove_directory", path: at("/a"), ifEmpty: true });
    await commit({ type: "remove_directory", path: at("/a") }, { type: "delete", path: at("/a/x.md") });
    expect(await names("")).toEqual([]);
    await put("/f", "1");
    expect(await failure(commit({ type: "remove_directory", path: at("/f") }))).toMatch(/^not_directory/);
    expect(await failure(store.makeDirectory(at("/f"), actor()))).toMatch(/^path_conflict: .* is a file/);
    expect(await failure(store.makeDirectory(at("/f/g"), actor()))).toMatch(/^path_conflict: .* nothing can lie below/);
    expect(await failure(store.makeDirectory(at("/F"), actor()))).toMatch(/^path_conflict: .* only in case/);
    expect(await failure(store.removeTree("/memory/org", actor()))).toMatch(/^path_conflict: .* root/);
  });

  it("may take the place of a file in one commit, and give it back", async () => {
    await put("/a", "1");
    const bytes = encodeText("2");
    const file = { type: "put" as const, bytes, executable: false, operation: "write" as const };
    await commit({ ...file, path: at("/a/b") }, { type: "delete", path: at("/a") });
    expect(await textOf("/a/b")).toBe("2");
    await commit(
      { ...file, path: at("/a") },
      { type: "remove_directory", path: at("/a") },
      { type: "delete", path: at("/a/b") },
    );
    expect(await textOf("/a")).toBe("2");
    expect((await told()).filter((line) => line.includes(" /a "))).toEqual([
      "1 create /a 1",
      "2 delete /a 2",
      "2 make_directory /a 3",
      "3 remove_directory /a 4",
      "3 create /a 5",
    ]);
  });
});

describe("moves", () => {
  it("keep what a file is, and leave a trace at both ends", async () => {
    await put("/a.md", "needle");
    await store.rename(at("/a.md"), at("/new/b.md"), actor());
    expect(await failure(store.read(at("/a.md")))).toMatch(/^not_found/);
    expect(await textOf("/new/b.md")).toBe("needle");
    const found = await store.grep({ pattern: "needle", path: "/memory", ignoreCase: false, maximumMatches: 9 });
    expect(found.lines.map((match) => match.path)).toEqual([at("/new/b.md")]);
    const rows = await history();
    expect(rows.map((row) => [row.operation, row.path, row.version, row.other_path])).toEqual([
      ["create", "/a.md", 1, null],
      ["make_directory", "/new", 1, null],
      ["move_out", "/a.md", 2, "/new/b.md"],
      ["move_in", "/new/b.md", 1, "/a.md"],
    ]);
    expect(new Set(rows.flatMap((row) => row.memory_id ?? [])).size).toBe(1);
    // The session knew the content, so it knows it under its new name.
    expect(await put("/new/b.md", "again")).toMatchObject({ version: "2" });
    expect(await put("/a.md", "other")).toMatchObject({ created: true, version: "3" });
  });

  it("take a whole directory along, and its versions grow on", async () => {
    await put("/a/x.md", "x");
    await put("/a/deep/y.md", "y");
    await put("/b.md", "b");
    await store.rename(at("/a"), at("/c"), actor());
    await store.rename(at("/c"), at("/a"), actor());
    expect(await textOf("/a/deep/y.md")).toBe("y");
    expect(await names("")).toEqual(["/a", "/b.md"]);
    const seen = await files.atRevision(organizationId, memory, 4);
    expect(seen.flatMap(({ path, kind }) => (kind === "absent" ? [] : [path.slice(11)]))).toEqual([
      "/b.md",
      "/c",
      "/c/deep",
      "/c/deep/y.md",
      "/c/x.md",
    ]);
    expect(await counters()).toMatchObject({ revision: 5, files: 3, directories: 2, bytes: 3 });
    expect((await told()).filter((line) => line.includes(" /a/x.md "))).toEqual([
      "1 create /a/x.md 1",
      "4 move_out /a/x.md 2",
      "5 move_in /a/x.md 3",
    ]);
  });

  it("are refused where something is, inside themselves, and by a twin", async () => {
    await put("/a/x.md", "x");
    await put("/b", "b");
    const rename = (from: string, to: string) => failure(store.rename(at(from), at(to), actor()));
    expect(await rename("/a", "/b")).toMatch(/^path_conflict: .* exists already/);
    expect(await rename("/a", "/B")).toMatch(/^path_conflict: .* only in case/);
    expect(await rename("/a", "/a/b/c")).toMatch(/^path_conflict: .* inside it/);
    expect(await rename("/a", "/A/b")).toMatch(/^path_conflict: .* only in case/);
    expect(await rename("/a", "/b/c")).toMatch(/^path_conflict: .* nothing can lie below/);
    expect(await rename("/none", "/c")).toMatch(/^not_found/);
    expect(await rename("/a", `/${"d/".repeat(19)}e`)).toMatch(/^invalid_path: .* too deep/);
    expect(await counters()).toMatchObject({ revision: 2 });
    expect(await rename("/a", "/A")).toBe("none");
    expect(await textOf("/A/x.md")).toBe("x");
  });

  it("are done once by one call", async () => {
    await put("/a.md", "1");
    const call = actor();
    await store.rename(at("/a.md"), at("/b.md"), call);
    await store.rename(at("/a.md"), at("/b.md"), call);
    expect(await counters()).toMatchObject({ revision: 2 });
  });

  it("may swap two names in one commit", async () => {
    await put("/a", "1");
    await put("/b", "2");
    const move = (path: string, to: string) => ({ type: "move" as const, path: at(path), to: at(to) });
    await commit(move("/a", "/t"), move("/b", "/a"), move("/t", "/b"));
    expect([await textOf("/a"), await textOf("/b")]).toEqual(["2", "1"]);
  });
});

describe("expected versions", () => {
  it("are compared for every change, before any is made", async () => {
    await put("/a", "1");
    await put("/b", "1");
    const file = { type: "put" as const, bytes: encodeText("2"), executable: false, operation: "write" as const };
    const attempt = (...changes: readonly FileChange[]) => failure(commit(...changes));
    expect(await attempt({ ...file, path: at("/c") }, { type: "delete", path: at("/a"), expectedVersion: 2 })).toMatch(
      /^conflict/,
    );
    expect(await attempt({ type: "move", path: at("/a"), to: at("/c"), expectedVersion: 2 })).toMatch(/^conflict/);
    expect(await attempt({ ...file, path: at("/a"), expectedVersion: null })).toMatch(/^conflict/);
    expect(await attempt({ type: "remove_directory", path: at("/d"), expectedVersion: 1 })).toMatch(/^conflict/);
    expect(await counters()).toMatchObject({ revision: 2 });
    expect(await attempt({ type: "move", path: at("/a"), to: at("/c"), expectedVersion: 1 })).toBe("none");
  });
});

describe("at the same time", () => {
  it("an edit and a move, a directory and a file, a removal and a creation agree", async () => {
    for (let round = 0; round < 10; round += 1) {
      const root = `/r${round}`;
      await put(`${root}/a.md`, "one\n");
      const edit = { oldText: "one", newText: "two", all: false };
      const outcomes = await Promise.all([
        failure(store.edit(at(`${root}/a.md`), edit, actor())),
        failure(store.rename(at(root), at(`${root}m`), actor())),
        failure(put(`${root}x`, "file")),
        failure(store.makeDirectory(at(`${root}x`), actor())),
      ]);
      const moved = await textOf(`${root}m/a.md`);
      expect(moved).toBe(outcomes[0] === "none" ? "two\n" : "one\n");
      expect([outcomes[2] === "none", outcomes[3] === "none"].filter(Boolean)).toHaveLength(1);
      await store.makeDirectory(at(`${root}d`), actor());
      const [removal, creation] = await Promise.all([
        failure(commit({ type: "remove_directory", path: at(`${root}d`) })),
        failure(put(`${root}d/new.md`, "new")),
      ]);
      expect(creation).toBe("none");
      expect(removal).toMatch(/^(none|path_conflict: .* not empty)/);
      expect(await textOf(`${root}d/new.md`)).toBe("new");
    }
    const rows = await history();
    const revisions = [...new Set(rows.map((row) => row.revision))];
    expect(revisions).toEqual(Array.from({ length: revisions.length }, (_, index) => index + 1));
  }, 60_000);
});

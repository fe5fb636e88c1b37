import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../db/testing.ts";
import { organizationMemoryMount as memory } from "../../mounts.ts";
import type { DirectoryOperations, FileStore } from "../../store.ts";
import { decodeText, encodeText } from "../../text.ts";
import { createStoredFiles, type StoredFiles } from "../stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "../testing.ts";

type Store = FileStore & DirectoryOperations;

let test: TestDatabase;
let files: StoredFiles;
let organizationId: string;
let ann: ReturnType<typeof person>;
let bob: ReturnType<typeof person>;

beforeAll(async () => {
  test = await createTestDatabase();
  files = createStoredFiles(test.database);
}, 60_000);
afterAll(() => test?.drop());
beforeEach(async () => {
  organizationId = await createTestOrganization(test.database);
  ann = person(await createTestSession(test.database, organizationId));
  bob = person(await createTestSession(test.database, organizationId));
});

const at = (path: string) => `/memory/org${path}`;

function person(sessionId: string) {
  const store: Store = files.open({ organizationId, sessionId }, memory);
  const actor = () => actorOf(organizationId, sessionId);
  return {
    sessionId,
    put: async (path: string, text: string) => {
      await store.read(at(path)).catch(() => undefined);
      return store.write(at(path), encodeText(text), actor());
    },
    edit: (path: string, oldText: string, newText: string) =>
      store.edit(at(path), { oldText, newText, all: false }, actor()),
    remove: (path: string) => store.remove(at(path), actor()),
    rename: (from: string, to: string) => store.rename(at(from), at(to), actor()),
    makeDirectory: (path: string) => store.makeDirectory(at(path), actor()),
    removeTree: (path: string) => store.removeTree(at(path), actor()),
    text: async (path: string) => decodeText((await store.read(at(path))).bytes),
    undo: async (options: { dryRun?: boolean; toolUseId?: string } = {}) => {
      const by = actorOf(organizationId, null, "api");
      const { revision, changes, kept } = await files.history.undo({ mount: memory, actor: by, sessionId, ...options });
      const told = changes.map(({ path, change }) => `${change} ${path.slice(11)}`).sort();
      return { revision, told, kept: kept.map(({ path, reason }) => `${path.slice(11)}: ${reason}`) };
    },
  };
}

const tree = async () => [
  ...(await files.directories(organizationId, memory)).map(({ path }) => `${path.slice(11)}/`),
  ...(await files.manifest(organizationId, memory)).map(({ path }) => path.slice(11)),
];

describe("undoing a session", () => {
  it("takes back what it wrote, made, deleted and moved, once", async () => {
    await ann.put("/old.md", "old");
    await ann.put("/gone.md", "gone");
    await ann.put("/dir/a.md", "a");
    await ann.put("/dir/b.md", "b");
    await ann.makeDirectory("/empty");
    const before = await tree();
    const ids = new Map((await files.manifest(organizationId, memory)).map(({ path, memoryId }) => [path, memoryId]));
    await bob.put("/old.md", "new");
    await bob.put("/old.md", "newer");
    await bob.remove("/gone.md");
    await bob.put("/made/deep.md", "x");
    await bob.rename("/dir", "/elsewhere");
    await bob.edit("/elsewhere/a.md", "a", "A");
    await bob.removeTree("/empty");
    const dry = await bob.undo({ dryRun: true });
    expect(dry.kept).toEqual([]);
    expect(await bob.text("/old.md")).toBe("newer");
    const done = await bob.undo();
    expect(done.told).toEqual(dry.told);
    expect(done.told).toEqual([
      "deleted /made/deep.md",
      "directory_made /dir",
      "directory_made /empty",
      "directory_removed /elsewhere",
      "directory_removed /made",
      "moved_back /dir/a.md",
      "moved_back /dir/b.md",
      "put_back /dir/a.md",
      "put_back /gone.md",
      "put_back /old.md",
    ]);
    expect(await tree()).toEqual(before);
    expect([await ann.text("/old.md"), await ann.text("/dir/a.md")]).toEqual(["old", "a"]);
    const after = new Map((await files.manifest(organizationId, memory)).map(({ path, memoryId }) => [path, memoryId]));
    expect(after).toEqual(ids);
    expect(await bob.undo()).toEqual({ revision: done.revision, told: [], kept: [] });
    const { versions } = await files.history.list(organizationId, memory, { path: at("/old.md") }, { limit: 1 });
    expect(versions[0]).toMatchObject({ via: "undo", sessionId: null });
  });

  it("keeps what others have written since, by merging where it can", async () => {
    const lines = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
    const text = (changed: Readonly<Record<string, string>>) =>
      `${lines.map((line) => changed[line] ?? line).join("\n")}\n`;
    await ann.put("/merge.md", text({}));
    await ann.put("/clash.md", text({}));
    await bob.put("/merge.md", text({ two: "TWO" }));
    await bob.put("/clash.md", text({ two: "TWO" }));
    await ann.put("/merge.md", text({ two: "TWO", seven: "SEVEN" }));
    await ann.put("/clash.md", text({ two: "ann's" }));
    await bob.put("/merge.md", text({ two: "TWO", seven: "SEVEN", five: "FIVE" }));
    await bob.put("/mine.md", "bob's");
    await ann.put("/mine.md", "bob's and ann's");
    await bob.remove("/mine.md");
    await ann.put("/mine.md", "ann's own");
    const done = await bob.undo();
    expect(done.told).toEqual(["merged /merge.md"]);
    expect(done.kept).toEqual([
      "/clash.md: others have changed the same lines since",
      "/mine.md: others have changed it since it was made",
      "/mine.md: /memory/org/mine.md exists already: remove it first, or choose another name.",
    ]);
    expect(await ann.text("/merge.md")).toBe(text({ seven: "SEVEN" }));
    expect(await ann.text("/clash.md")).toBe(text({ two: "ann's" }));
    expect(await ann.text("/mine.md")).toBe("ann's own");
    expect(await bob.undo()).toMatchObject({ told: [], revision: done.revision });
  });

  it("brings back what others made of a file that it created and deleted", async () => {
    await bob.put("/a.md", "bob's");
    await ann.put("/a.md", "bob's and ann's");
    await bob.remove("/a.md");
    const done = await bob.undo();
    expect(done).toMatchObject({ told: ["put_back /a.md"], kept: ["/a.md: others have changed it since it was made"] });
    expect(await ann.text("/a.md")).toBe("bob's and ann's");
    expect(await bob.undo()).toMatchObject({ told: [], revision: done.revision });
  });

  it("leaves what others need, and says so", async () => {
    await bob.put("/made/a.md", "a");
    await ann.put("/made/b.md", "b");
    await ann.put("/x", "x");
    await bob.remove("/x");
    await ann.put("/x/inside.md", "y");
    const done = await bob.undo();
    expect(done.told).toEqual(["deleted /made/a.md"]);
    expect(done.kept).toEqual([
      "/x: /memory/org/x is a directory.",
      "/made: /memory/org/made is not empty, so it was not removed.",
    ]);
    expect(await tree()).toEqual(["/made/", "/x/", "/made/b.md", "/x/inside.md"]);
  });

  it("swaps names back", async () => {
    await ann.put("/a", "1");
    await ann.put("/b", "2");
    await bob.rename("/a", "/t");
    await bob.rename("/b", "/a");
    await bob.rename("/t", "/b");
    expect((await bob.undo()).kept).toEqual([]);
    expect([await ann.text("/a"), await ann.text("/b")]).toEqual(["1", "2"]);
    expect(await tree()).toEqual(["/a", "/b"]);
  });

  it("puts a file back where a directory was made in its place, also one that holds the file now", async () => {
    await ann.put("/f", "f");
    await ann.put("/g", "g");
    await bob.rename("/f", "/old");
    await bob.makeDirectory("/f/sub");
    await bob.rename("/g", "/t");
    await bob.rename("/t", "/g/deep/index");
    const done = await bob.undo();
    expect(done.kept).toEqual([]);
    expect(done.told).toEqual([
      "directory_removed /f",
      "directory_removed /f/sub",
      "directory_removed /g",
      "directory_removed /g/deep",
      "moved_back /f",
      "moved_back /g",
    ]);
    expect([await ann.text("/f"), await ann.text("/g"), await tree()]).toEqual(["f", "g", ["/f", "/g"]]);
    expect(await bob.undo()).toMatchObject({ told: [], kept: [], revision: done.revision });
  });

  it("of more files than one commit writes goes on when it is asked again", async () => {
    const changes = Array.from({ length: 2_003 }, (_, index) => ({
      type: "put" as const,
      path: at(`/many/${index}`),
      bytes: encodeText(`${index}`),
      executable: null,
      operation: "write" as const,
    }));
    for (const part of [changes.slice(0, 1_500), changes.slice(1_500)])
      await files.commit({ mount: memory, actor: actorOf(organizationId, ann.sessionId), paths: [] }, () => ({
        changes: part,
        result: null,
      }));
    await bob.removeTree("/many");
    const first = await bob.undo();
    expect(first.kept).toHaveLength(3);
    expect(first.kept[0]).toMatch(/: one commit writes 2000 files: undo again, for the rest$/);
    expect((await bob.undo()).kept).toEqual([]);
    expect(await files.manifest(organizationId, memory)).toHaveLength(2_003);
  }, 60_000);

  it("can be narrowed to one call", async () => {
    await bob.put("/a", "1");
    await bob.put("/a", "2");
    const { versions } = await files.history.list(organizationId, memory, { path: at("/a") }, { limit: 9 });
    const first = versions.at(-1)?.toolUseId ?? "";
    expect((await bob.undo({ toolUseId: versions[0]?.toolUseId ?? "" })).told).toEqual(["put_back /a"]);
    expect(await ann.text("/a")).toBe("1");
    expect((await bob.undo({ toolUseId: first })).told).toEqual(["deleted /a"]);
    expect(await files.history.mountsChangedBy(organizationId, [bob.sessionId])).toEqual(["memory/org"]);
  });
});

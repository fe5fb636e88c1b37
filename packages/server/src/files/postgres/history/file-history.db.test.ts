import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../db/testing.ts";
import { organizationMemoryMount as memory } from "../../mounts.ts";
import { type DirectoryOperations, FileError, type FileStore } from "../../store.ts";
import { decodeText, encodeText } from "../../text.ts";
import { createStoredFiles, type StoredFiles } from "../stored-files.ts";
import { actorOf, createTestOrganization, createTestSession } from "../testing.ts";

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
const api = () => actorOf(organizationId, null, "api");
const put = (path: string, text: string) => store.write(at(path), encodeText(text), actor());
const textOf = async (path: string) => decodeText((await store.read(at(path))).bytes);
const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof FileError ? `${error.code}: ${error.message}` : String(error)),
  );
const versions = async (path: string) =>
  (await files.history.list(organizationId, memory, { path: at(path) }, { limit: 100 })).versions;
const tree = async () => [
  ...(await files.directories(organizationId, memory)).map(({ path }) => `${path.slice(11)}/`),
  ...(await files.manifest(organizationId, memory)).map(({ path }) => path.slice(11)),
];

describe("versions", () => {
  it("are listed in pages, by path, file, session and time", async () => {
    for (const text of ["1", "2", "3"]) await put("/a.md", text);
    await store.rename(at("/a.md"), at("/b.md"), actor());
    await put("/c.md", "x");
    const first = await files.history.list(organizationId, memory, {}, { limit: 4 });
    expect(first.versions.map((version) => [version.operation, version.path.slice(11)])).toEqual([
      ["create", "/c.md"],
      ["move_in", "/b.md"],
      ["move_out", "/a.md"],
      ["write", "/a.md"],
    ]);
    const page = { limit: 4, ...(first.next === null ? {} : { cursor: first.next }) };
    const second = await files.history.list(organizationId, memory, {}, page);
    expect(second).toMatchObject({ next: null, versions: [{ version: 2 }, { version: 1 }] });
    const memoryId = first.versions[1]?.memoryId ?? "";
    const whole = await files.history.list(organizationId, memory, { memoryId }, { limit: 100 });
    expect(whole.versions).toHaveLength(5);
    const none = await files.history.list(organizationId, memory, { until: new Date(0) }, { limit: 9 });
    expect(none.versions).toEqual([]);
    const mine = await files.history.list(organizationId, memory, { sessionId, below: "/memory/org" }, { limit: 9 });
    expect(mine.versions).toHaveLength(6);
    expect(await failure(files.history.list(organizationId, memory, {}, { limit: 9, cursor: "x" }))).toMatch(/^failed/);
  });

  it("are read, at a revision and at an instant too", async () => {
    await put("/a.md", "1");
    const [first] = await versions("/a.md");
    await new Promise((resolve) => setTimeout(resolve, 5));
    await put("/a.md", "2");
    const { version, bytes } = await files.history.read(organizationId, memory, first?.id ?? "");
    expect([version.version, decodeText(bytes ?? new Uint8Array())]).toEqual([1, "1"]);
    expect(await failure(files.history.read(organizationId, memory, "memver_none"))).toMatch(/^not_found/);
    const instant = first?.createdAt ?? new Date(0);
    expect(await files.history.at(organizationId, memory, { instant })).toMatchObject({
      revision: 1,
      files: [{ path: at("/a.md"), version: 1 }],
    });
    expect(await files.history.revisionAt(organizationId, memory, { instant: new Date(0) })).toBe(0);
    const elsewhere = await createTestOrganization(test.database);
    expect(await failure(files.history.read(elsewhere, memory, first?.id ?? ""))).toMatch(/^not_found/);
  });
});

describe("differences", () => {
  it("are unified diffs", async () => {
    await put("/a.md", "one\ntwo\nthree\n");
    await put("/a.md", "one\n2\nthree\n");
    await put("/new.md", "x\n");
    const [to, from] = await versions("/a.md");
    expect(await files.history.diffVersions(organizationId, memory, from?.id ?? "", to?.id ?? "")).toBe(
      "--- /memory/org/a.md\tversion 1\n+++ /memory/org/a.md\tversion 2\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
    );
    const points = { from: { revision: 1 }, to: { revision: 3 } };
    const found = await files.history.diffRevisions(organizationId, memory, points);
    expect(found.files.map(({ path, change }) => [path, change])).toEqual([
      [at("/a.md"), "changed"],
      [at("/new.md"), "added"],
    ]);
    expect(found.files[1]?.diff).toContain("+x\n");
    const narrowed = await files.history.diffRevisions(organizationId, memory, points, at("/new.md"));
    expect(narrowed.files).toHaveLength(1);
  });

  it("of two long texts without a common line are given up", async () => {
    const lines = (word: string) => Array.from({ length: 60_000 }, (_, index) => `${word}${index}\n`).join("");
    await put("/a.md", lines("a"));
    await put("/a.md", lines("b"));
    const points = { from: { revision: 1 }, to: { revision: 2 } };
    const found = await files.history.diffRevisions(organizationId, memory, points);
    expect(found.files).toEqual([{ path: at("/a.md"), change: "changed", diff: null, unshown: "too_large" }]);
  }, 30_000);
});

describe("restoring", () => {
  it("brings back a file by version, a tree by revision, and says what it would do", async () => {
    await put("/a/x.md", "1");
    await put("/a/y.md", "1");
    const [first] = await versions("/a/x.md");
    await put("/a/x.md", "2");
    await store.remove(at("/a/y.md"), actor());
    await put("/a/deep/z.md", "1");
    await put("/b.md", "1");
    const dry = { mount: memory, actor: api(), path: at("/a"), to: { revision: 2 }, dryRun: true };
    const told = await files.history.restore(dry);
    expect(new Set(told.changes.map(({ path, change }) => `${change} ${path.slice(11)}`))).toEqual(
      new Set(["written /a/x.md", "written /a/y.md", "deleted /a/deep/z.md", "directory_removed /a/deep"]),
    );
    expect(await files.revision(organizationId, memory)).toBe(6);
    expect(await textOf("/a/x.md")).toBe("2");
    await files.history.restore({ ...dry, dryRun: false });
    expect(await tree()).toEqual(["/a/", "/a/x.md", "/a/y.md", "/b.md"]);
    expect(await textOf("/a/x.md")).toBe("1");
    const again = await files.history.restore({ ...dry, dryRun: false });
    expect(again).toEqual({ revision: 7, changes: [] });
    const history = await versions("/a/y.md");
    expect(history.map(({ memoryId }) => memoryId === history[0]?.memoryId)).toEqual([true, true, true]);
    expect(history[0]?.via).toBe("undo");
    await put("/a/x.md", "3");
    await files.history.restore({ mount: memory, actor: api(), to: { versionId: first?.id ?? "" } });
    expect(await textOf("/a/x.md")).toBe("1");
    const whole = await files.history.restore({ mount: memory, actor: api(), to: { instant: new Date(0) } });
    expect(whole.changes.length).toBeGreaterThan(3);
    expect(await tree()).toEqual([]);
    expect(
      await failure(files.history.restore({ mount: memory, actor: api(), path: at("/none"), to: { revision: 3 } })),
    ).toMatch(/^not_found/);
  });

  it("turns a directory back into a file", async () => {
    await put("/a", "file");
    await store.remove(at("/a"), actor());
    await put("/a/b", "inside");
    await files.history.restore({ mount: memory, actor: api(), path: at("/a"), to: { revision: 1 } });
    expect(await textOf("/a")).toBe("file");
    await files.history.restore({ mount: memory, actor: api(), path: at("/a"), to: { revision: 3 } });
    expect(await textOf("/a/b")).toBe("inside");
  });
});

describe("redaction", () => {
  it("takes the content and keeps the row", async () => {
    await put("/a.md", "a secret");
    await put("/b.md", "a secret");
    await put("/a.md", "nothing");
    const [head, old] = await versions("/a.md");
    const redact = (versionId: string) =>
      files.history.redact({ organizationId, mount: memory, versionId, by: { type: "api_key", id: "key_1" } });
    expect(await failure(redact(head?.id ?? ""))).toMatch(/^conflict: .* write or delete the file first/);
    const redacted = await redact(old?.id ?? "");
    expect(redacted).toMatchObject({ redactedBy: { id: "key_1" }, sha256: old?.sha256 });
    expect(await files.history.read(organizationId, memory, old?.id ?? "")).toMatchObject({ bytes: null });
    // Another file has the same content, so it is still there.
    expect(await textOf("/b.md")).toBe("a secret");
    await store.remove(at("/b.md"), actor());
    const [, created] = await versions("/b.md");
    await redact(created?.id ?? "");
    const blob = () =>
      test.database
        .selectFrom("file_blobs")
        .select("content")
        .where("organization_id", "=", organizationId)
        .where("sha256", "=", old?.sha256 ?? "")
        .executeTakeFirstOrThrow();
    expect(await blob()).toEqual({ content: null });
    expect((await redact(created?.id ?? "")).redactedAt).not.toBeNull();
    const restore = { mount: memory, actor: api(), path: at("/a.md"), to: { revision: 1 } };
    expect(await failure(files.history.restore(restore))).toMatch(/^failed: .* redacted/);
    await put("/c.md", "a secret");
    expect(await textOf("/c.md")).toBe("a secret");
  });

  it("takes what was kept of a lost race", async () => {
    await put("/a.md", "1");
    const lost = { path: at("/a.md"), bytes: encodeText("lost secret"), baseVersion: 1, headVersion: 1 };
    const request = { mount: memory, actor: actor(), paths: [] };
    await files.commit(request, () => ({ changes: [], lost: [lost], result: null }));
    await put("/a.md", "lost secret");
    await put("/a.md", "2");
    const [, secret] = await versions("/a.md");
    await files.history.redact({ organizationId, mount: memory, versionId: secret?.id ?? "", by: null });
    expect((await files.history.conflicts(organizationId, memory, {}, { limit: 9 })).conflicts).toEqual([]);
    const { rows } = await findText("lost secret");
    expect(rows).toBe(0);
  });
});

async function findText(text: string): Promise<{ readonly rows: number }> {
  const blobs = await test.database
    .selectFrom("file_blobs")
    .select("content")
    .where("organization_id", "=", organizationId)
    .execute();
  return { rows: blobs.filter(({ content }) => content !== null && decodeText(content) === text).length };
}

describe("conflicts", () => {
  it("are listed, read, and resolved once", async () => {
    await put("/a.md", "head");
    const lose = (text: string) =>
      files.commit({ mount: memory, actor: actor(), paths: [] }, () => ({
        changes: [],
        lost: [{ path: at("/a.md"), bytes: encodeText(text), baseVersion: null, headVersion: 1 }],
        result: null,
      }));
    for (const text of ["one", "two", "three"]) await lose(text);
    const list = (cursor?: string) =>
      files.history.conflicts(
        organizationId,
        memory,
        { resolved: false },
        { limit: 2, ...(cursor === undefined ? {} : { cursor }) },
      );
    const page = await list();
    expect(page.conflicts).toHaveLength(2);
    const rest = await list(page.next ?? "");
    expect(rest).toMatchObject({ next: null, conflicts: [{ path: at("/a.md"), sessionId }] });
    const id = rest.conflicts[0]?.id ?? "";
    const read = await files.history.readConflict(organizationId, memory, id);
    expect(decodeText(read.bytes ?? new Uint8Array())).toBe("one");
    await files.history.resolveConflict(memory, id, "kept", api());
    expect(await textOf("/a.md")).toBe("one");
    expect(await failure(files.history.resolveConflict(memory, id, "head", api()))).toMatch(/^conflict: .* already/);
    await files.history.resolveConflict(memory, page.conflicts[0]?.id ?? "", "head", api());
    expect((await list()).conflicts).toHaveLength(1);
    expect(await failure(files.history.readConflict(organizationId, memory, "x"))).toMatch(/^not_found/);
  });
});

describe("archives", () => {
  const exported = async (options?: Parameters<StoredFiles["history"]["exportArchive"]>[2]) => {
    const parts: Uint8Array[] = [];
    for await (const part of files.history.exportArchive(organizationId, memory, options)) parts.push(part);
    return Buffer.concat(parts);
  };

  it("go out and come back the same", async () => {
    const long = `/${"d".repeat(90)}/${"f".repeat(90)}.md`;
    await put("/a/x.md", "1");
    await put(long, "long");
    await store.makeDirectory(at("/empty"), actor());
    const archive = await exported();
    await put("/a/x.md", "2");
    await put("/extra.md", "2");
    const request = { mount: memory, actor: api(), directory: "/memory/org", archive, replace: true };
    expect(await files.history.importArchive(request)).toEqual({ revision: 6, removed: 1 });
    expect(await textOf("/a/x.md")).toBe("1");
    expect(await textOf(long)).toBe("long");
    const then = await exported({ at: { revision: 5 }, path: at("/a") });
    await files.history.importArchive({ ...request, archive: then, directory: at("/copy") });
    expect(await textOf("/copy/a/x.md")).toBe("2");
  });
});

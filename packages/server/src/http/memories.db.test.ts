/** Memories over the wire, through the official SDK. */
import { createHash } from "node:crypto";
import type { MemoryListParams } from "@anthropic-ai/sdk/resources/beta/memory-stores/memories";
import { memory as memorySchema } from "@exoloop/protocol/memories";
import { afterAll, beforeAll, expect, test } from "vitest";
import { memoryStoreKey, memoryStoreMount } from "../files/mounts.ts";
import { createStoredFiles } from "../files/postgres/stored-files.ts";
import { encodeText } from "../files/text.ts";
import { newMemoryCaller, refusalOf } from "./testing-memory.ts";
import { type TestServer, startTestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function newStore() {
  const caller = await newMemoryCaller(server);
  const store = await caller.stores.create({ name: "notes" });
  const { memories } = caller.stores;
  const create = (path: string, content = "") => memories.create(store.id, { path, content });
  return { ...caller, memories, store, memory_store_id: store.id, create };
}

test("a memory is created, read, changed and deleted", async () => {
  const { memories, store, memory_store_id, create } = await newStore();
  const created = await create("/projects/foo/notes.md", "Grüße\n");
  expect(memorySchema.safeParse(created).error).toBeUndefined();
  expect(created).toMatchObject({
    type: "memory",
    id: expect.stringMatching(/^mem_/),
    memory_store_id: store.id,
    memory_version_id: expect.stringMatching(/^memver_/),
    path: "/projects/foo/notes.md",
    content: null,
    content_sha256: sha256("Grüße\n"),
    content_size_bytes: 8,
  });
  expect(Math.abs(Date.parse(created.created_at) - Date.now())).toBeLessThan(60_000);
  expect(await memories.retrieve(created.id, { memory_store_id })).toEqual({ ...created, content: "Grüße\n" });
  expect((await memories.retrieve(created.id, { memory_store_id, view: "basic" })).content).toBeNull();
  const changed = await memories.update(created.id, { memory_store_id, content: "second", view: "full" });
  expect(changed).toMatchObject({ id: created.id, content: "second", content_sha256: sha256("second") });
  expect(changed.memory_version_id).not.toBe(created.memory_version_id);
  expect(changed.created_at).toBe(created.created_at);
  const same = await memories.update(created.id, { memory_store_id, content: "second" });
  expect(same.memory_version_id).toBe(changed.memory_version_id);
  expect(await memories.delete(created.id, { memory_store_id })).toEqual({ id: created.id, type: "memory_deleted" });
  expect(await refusalOf(memories.retrieve(created.id, { memory_store_id }))).toMatchObject({ code: "not_found" });
  expect(await refusalOf(memories.delete(created.id, { memory_store_id }))).toMatchObject({ code: "not_found" });
  expect((await memories.create(store.id, { path: "/projects", content: null, view: "full" })).content).toBe("");
});

test("a change can depend on the content that it replaces", async () => {
  const { memories, memory_store_id, create } = await newStore();
  const { id, content_sha256 } = await create("/a.md", "one");
  const when = (hash: string) => ({ type: "content_sha256" as const, content_sha256: hash });
  await memories.update(id, { memory_store_id, content: "two", precondition: when(content_sha256) });
  const late = memories.update(id, { memory_store_id, content: "three", precondition: when(content_sha256) });
  expect(await refusalOf(late)).toMatchObject({
    status: 409,
    code: "memory_precondition_failed",
    error: { type: "memory_precondition_failed_error", message: expect.any(String) },
  });
  // What is asked for is there already.
  const done = await memories.update(id, { memory_store_id, content: "two", precondition: when(content_sha256) });
  expect(done.content_sha256).toBe(sha256("two"));
  const gone = memories.delete(id, { memory_store_id, expected_content_sha256: content_sha256 });
  expect(await refusalOf(gone)).toMatchObject({ status: 409, error: { type: "memory_precondition_failed_error" } });
  await memories.delete(id, { memory_store_id, expected_content_sha256: sha256("two") });
  for (const wrong of ["x", sha256("two").toUpperCase()]) {
    const refused = memories.update(id, { memory_store_id, content: "", precondition: when(wrong) });
    expect(await refusalOf(refused)).toMatchObject({ code: "invalid_request" });
  }
  const empty = memories.update(id, { memory_store_id, content: "", precondition: { type: "content_sha256" } });
  expect(await refusalOf(empty)).toMatchObject({ code: "invalid_request" });
});

test("a memory keeps its identifier when it is renamed", async () => {
  const { stores, memories, store, memory_store_id, create } = await newStore();
  const { id, content_sha256, memory_version_id } = await create("/old/a.md", "text");
  const blocking = await create("/taken.md", "other");
  const moved = await memories.update(id, { memory_store_id, path: "/new/b.md", view: "full" });
  expect(moved).toMatchObject({ id, path: "/new/b.md", content: "text", content_sha256 });
  expect(moved.memory_version_id).not.toBe(memory_version_id);
  const both = await memories.update(id, { memory_store_id, path: "/new/c.md", content: "more", view: "full" });
  expect(both).toMatchObject({ id, path: "/new/c.md", content: "more" });
  expect((await memories.list(store.id)).data.map((item) => item.path)).toEqual(["/new/c.md", "/taken.md"]);
  const versions = (await stores.memoryVersions.list(store.id, { memory_id: id, view: "full" })).data;
  expect(versions.map((version) => [version.operation, version.path, version.content])).toEqual([
    ["modified", "/new/c.md", "more"],
    ["modified", "/new/b.md", "text"],
    ["created", "/old/a.md", "text"],
  ]);
  expect(versions[0]?.id).toBe(both.memory_version_id);
  for (const [path, at] of [
    ["/taken.md", "/taken.md"],
    ["/taken.md/below", "/taken.md"],
    ["/TAKEN.md", "/taken.md"],
  ] as const) {
    expect(await refusalOf(memories.update(id, { memory_store_id, path, content: "lost" }))).toMatchObject({
      status: 409,
      error: { type: "memory_path_conflict_error", conflicting_memory_id: blocking.id, conflicting_path: at },
    });
  }
  const stale = { type: "content_sha256" as const, content_sha256 };
  const refused = memories.update(id, { memory_store_id, path: "/d.md", precondition: stale });
  expect(await refusalOf(refused)).toMatchObject({ code: "memory_precondition_failed" });
  expect(await memories.retrieve(id, { memory_store_id })).toMatchObject({ path: "/new/c.md", content: "more" });
  const same = await memories.update(id, { memory_store_id, path: "/new/c.md", content: "more", precondition: stale });
  expect(same.memory_version_id).toBe(both.memory_version_id);
});

test("a directory without memories is in nobody's way", async () => {
  const { memories, memory_store_id, create } = await newStore();
  const { id } = await create("/a/b/c.md", "1");
  await memories.delete(id, { memory_store_id });
  const file = await create("/a", "2");
  const deep = await create("/x/y/z.md", "3");
  await memories.update(deep.id, { memory_store_id, path: "/q.md" });
  expect((await memories.update(file.id, { memory_store_id, path: "/x" })).path).toBe("/x");
  // Nor one whose name differs only in case.
  const upper = await create("/Notes/Deep/a.md", "4");
  await create("/Notes/b.md", "5");
  expect(await refusalOf(create("/notes/c.md"))).toMatchObject({ code: "memory_path_conflict" });
  expect((await create("/Notes/deep.md")).path).toBe("/Notes/deep.md");
  await memories.delete(upper.id, { memory_store_id });
  expect((await create("/Notes/deep/d.md", "6")).path).toBe("/Notes/deep/d.md");
});

test("two writers of one content: one wins, the other is told", async () => {
  const { memories, memory_store_id, create } = await newStore();
  const { id, content_sha256 } = await create("/a.md", "base");
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) =>
      memories.update(id, {
        memory_store_id,
        content: `writer ${index}`,
        precondition: { type: "content_sha256", content_sha256 },
      }),
    ),
  );
  expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
});

test("paths conflict with themselves, with what is above and below, and with their twins", async () => {
  const { create } = await newStore();
  const deep = await create("/notes/today.md");
  const top = await create("/top");
  for (const [path, blocking] of [
    ["/notes/today.md", deep],
    ["/notes", deep],
    ["/top/below.md", top],
    ["/Notes/other.md", deep],
    ["/TOP", top],
  ] as const) {
    expect(await refusalOf(create(path))).toMatchObject({
      status: 409,
      code: "memory_path_conflict",
      error: {
        type: "memory_path_conflict_error",
        conflicting_memory_id: blocking.id,
        conflicting_path: blocking.path,
      },
    });
  }
});

test("paths and contents out of form are refused, and nothing is written", async () => {
  const { memories, store, memory_store_id, create } = await newStore();
  const { id } = await create("/kept.md", "kept");
  for (const path of [
    "a.md",
    "/",
    "/a//b",
    "/a/",
    "/./a",
    "/a/../b",
    "/e\u0301.md",
    "/a\u200eb",
    "/a\u2028b",
    `/${"s/".repeat(20)}s`,
    `/${"ä".repeat(512)}`,
    "/a\nb",
    "/ a",
  ]) {
    expect(await refusalOf(create(path))).toMatchObject({ status: 400, code: "invalid_path" });
    expect(await refusalOf(memories.update(id, { memory_store_id, path }))).toMatchObject({ code: "invalid_path" });
  }
  expect(await refusalOf(create("/nul\0.md"))).toMatchObject({ status: 400 });
  expect(await refusalOf(create("/b.md", "a\0b"))).toMatchObject({ status: 400 });
  expect(await refusalOf(create("/b.md", "ä".repeat(51_201)))).toMatchObject({ status: 400, code: "invalid_request" });
  expect((await create("/b.md", "ä".repeat(51_200))).content_size_bytes).toBe(102_400);
  expect((await memories.list(store.id)).data.map((item) => item.path)).toEqual(["/b.md", "/kept.md"]);
});

test("a list has a prefix, a depth and pages", async () => {
  const { memories, store, create } = await newStore();
  for (const path of ["/a.md", "/a/1.md", "/a/2.md", "/a/deep/3.md", "/a-b/4.md", "/ä/5.md", "/z.md"]) {
    await create(path, path);
  }
  const listed = async (query: MemoryListParams) => {
    const found: string[] = [];
    for await (const item of memories.list(store.id, query)) found.push(`${item.type} ${item.path}`);
    return found;
  };
  const shallow = ["memory_prefix /a-b/", "memory /a.md", "memory_prefix /a/", "memory /z.md", "memory_prefix /ä/"];
  const below = ["memory /a/1.md", "memory /a/2.md", "memory_prefix /a/deep/"];
  for (const limit of [1, 2, 100]) {
    expect(await listed({ limit })).toHaveLength(7);
    expect(await listed({ limit, depth: 0, path_prefix: "/a/" })).toHaveLength(3);
    expect(await listed({ limit, depth: 1 })).toEqual(shallow);
    expect(await listed({ limit, depth: 1, path_prefix: "/a/" })).toEqual(below);
    expect(await listed({ limit, depth: 1, path_prefix: "/ä/" })).toEqual(["memory /ä/5.md"]);
  }
  expect((await memories.list(store.id, { view: "full", path_prefix: "/a/deep/" })).data).toMatchObject([
    { content: "/a/deep/3.md" },
  ]);
  expect((await memories.list(store.id, { path_prefix: "/a/deep/" })).data).toMatchObject([{ content: null }]);
  expect(await listed({ path_prefix: "/none/" })).toEqual([]);
  for (const path_prefix of ["/a", "a/", "/a//", "/../"]) {
    expect(await refusalOf(memories.list(store.id, { path_prefix }))).toMatchObject({ code: "invalid_path" });
  }
  expect(await refusalOf(memories.list(store.id, { depth: 2 }))).toMatchObject({ code: "invalid_request" });
  const first = await memories.list(store.id, { limit: 1 });
  const elsewhere = memories.list(store.id, { limit: 1, path_prefix: "/a/", page: first.next_page ?? "" });
  expect(await refusalOf(elsewhere)).toMatchObject({ code: "invalid_cursor" });
});

test("pages have at most 100 memories, and 20 with their contents", async () => {
  const { memories, store, principal } = await newStore();
  const { organizationId } = principal;
  const mount = memoryStoreMount(memoryStoreKey(store.id), "", "read_write");
  const actor = { organizationId, sessionId: null, toolUseId: null, via: "import" as const };
  const put = { type: "put" as const, bytes: encodeText("x"), executable: false, operation: "write" as const };
  const changes = Array.from({ length: 101 }, (_, index) => ({ ...put, path: `/${index}.md` }));
  await createStoredFiles(server.test.database).commit({ mount, actor, paths: [] }, () => ({ changes, result: null }));
  expect((await memories.list(store.id, { limit: 1000 })).data).toHaveLength(100);
  expect((await memories.list(store.id, { limit: 1000, view: "full" })).data).toHaveLength(20);
  expect((await memories.list(store.id)).data).toHaveLength(20);
});

test("a full store takes no further memory", async () => {
  const { memories, store, memory_store_id, principal, create } = await newStore();
  const { id } = await create("/a.md", "a");
  await server.test.database
    .updateTable("file_mounts")
    .set({ files: 2_000 })
    .where("organization_id", "=", principal.organizationId)
    .where("mount", "=", `store/${store.id}`)
    .execute();
  expect(await refusalOf(create("/b.md"))).toMatchObject({ status: 409, code: "memory_store_full" });
  await memories.update(id, { memory_store_id, content: "still" });
});

test("an archived store is read and emptied, and no more", async () => {
  const { stores, memories, store, memory_store_id, create } = await newStore();
  const { id } = await create("/a.md", "a");
  await stores.archive(store.id);
  expect(await refusalOf(create("/b.md"))).toMatchObject({ status: 400, code: "memory_store_archived" });
  const update = memories.update(id, { memory_store_id, content: "b" });
  expect(await refusalOf(update)).toMatchObject({ code: "memory_store_archived" });
  expect((await memories.retrieve(id, { memory_store_id })).content).toBe("a");
  await memories.delete(id, { memory_store_id });
  expect((await memories.list(store.id)).data).toEqual([]);
});

test("another organization has none of it, and another store neither", async () => {
  const { memories, stores, store, create } = await newStore();
  const { id, memory_version_id } = await create("/a.md", "secret");
  const other = await newStore();
  const mine = { memory_store_id: other.store.id };
  const elsewhere = await stores.create({ name: "elsewhere" });
  for (const refused of [
    () => other.memories.retrieve(id, { memory_store_id: store.id }),
    () => other.memories.retrieve(id, mine),
    () => other.memories.update(id, { ...mine, content: "x" }),
    () => other.memories.delete(id, mine),
    () => other.memories.create(store.id, { path: "/b.md", content: "" }),
    async () => other.memories.list(store.id),
    async () => other.stores.memoryVersions.list(store.id),
    () => other.stores.memoryVersions.retrieve(memory_version_id, mine),
    () => memories.retrieve(id, { memory_store_id: elsewhere.id }),
    () => memories.delete(id, { memory_store_id: elsewhere.id }),
    () => stores.memoryVersions.retrieve(memory_version_id, { memory_store_id: elsewhere.id }),
  ]) {
    expect(await refusalOf(refused())).toMatchObject({ status: 404, code: "not_found" });
  }
});

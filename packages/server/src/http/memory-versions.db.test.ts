/** Versions of memories over the wire, through the official SDK. */
import type { MemoryVersionListParams } from "@anthropic-ai/sdk/resources/beta/memory-stores/memory-versions";
import { memoryVersion as versionSchema } from "@exoloop/protocol/memories";
import { afterAll, beforeAll, expect, test } from "vitest";
import { memoryStoreKey, memoryStoreMount } from "../files/mounts.ts";
import { createStoredFiles } from "../files/postgres/stored-files.ts";
import type { FileActor } from "../files/store.ts";
import { encodeText } from "../files/text.ts";
import { newMemoryCaller, newSession, refusalOf } from "./testing-memory.ts";
import { type TestServer, startTestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function newStore() {
  const caller = await newMemoryCaller(server);
  const store = await caller.stores.create({ name: "notes" });
  const mount = memoryStoreMount(memoryStoreKey(store.id), "", "read_write");
  const { organizationId } = caller.principal;
  const files = createStoredFiles(server.test.database).open({ organizationId, sessionId: null }, mount);
  const write = (path: string, text: string, actor: Partial<FileActor>) =>
    files.write(path, encodeText(text), { organizationId, sessionId: null, toolUseId: null, via: "tool", ...actor });
  const { memories, memoryVersions: versions } = caller.stores;
  const listed = async (query: MemoryVersionListParams = {}) => (await versions.list(store.id, query)).data;
  return { ...caller, store, memory_store_id: store.id, memories, versions, listed, write };
}

test("every change has a version, which stays when the memory is deleted", async () => {
  const { store, memory_store_id, memories, versions, listed, principal } = await newStore();
  const created = await memories.create(store.id, { path: "/a/b.md", content: "one" });
  const changed = await memories.update(created.id, { memory_store_id, content: "two" });
  await memories.update(created.id, { memory_store_id, content: "two" });
  await memories.delete(created.id, { memory_store_id });
  const all = await listed();
  for (const version of all) expect(versionSchema.safeParse(version).error).toBeUndefined();
  const writer = { created_by: { type: "api_actor", api_key_id: principal.apiKeyId }, redacted_at: null };
  const common = { type: "memory_version", memory_id: created.id, memory_store_id, path: "/a/b.md", ...writer };
  expect(all).toMatchObject([
    { ...common, operation: "deleted", content: null, content_sha256: null, content_size_bytes: null },
    { ...common, operation: "modified", id: changed.memory_version_id, content_sha256: changed.content_sha256 },
    { ...common, operation: "created", id: created.memory_version_id, content: null, content_size_bytes: 3 },
  ]);
  const full = await versions.retrieve(created.memory_version_id, { memory_store_id });
  expect(full.content).toBe("one");
  const basic = await versions.retrieve(created.memory_version_id, { memory_store_id, view: "basic" });
  expect(basic).toEqual({ ...full, content: null });
  expect((await listed({ view: "full" })).map((version) => version.content)).toEqual([null, "two", "one"]);
  expect(await refusalOf(versions.retrieve("memver_none", { memory_store_id }))).toMatchObject({ code: "not_found" });
});

test("a redacted version keeps its row and nothing of its content", async () => {
  const { store, memory_store_id, memories, versions, principal, sdk } = await newStore();
  const created = await memories.create(store.id, { path: "/secret.md", content: "the password" });
  const again = await memories.create(store.id, { path: "/copy.md", content: "the password" });
  const head = versions.redact(created.memory_version_id, { memory_store_id });
  expect(await refusalOf(head)).toMatchObject({ status: 409, code: "version_conflict" });
  await memories.update(created.id, { memory_store_id, content: "clean" });
  const redacted = await versions.redact(created.memory_version_id, { memory_store_id });
  const nothing = { content: null, path: null, content_sha256: null, content_size_bytes: null };
  const by = { type: "api_actor", api_key_id: principal.apiKeyId };
  expect(redacted).toMatchObject({ ...nothing, id: created.memory_version_id, operation: "created", redacted_by: by });
  expect(redacted.redacted_at).not.toBeNull();
  expect(await versions.retrieve(created.memory_version_id, { memory_store_id })).toEqual(redacted);
  expect(await versions.redact(created.memory_version_id, { memory_store_id })).toEqual(redacted);
  // Another memory has the same content still.
  expect((await memories.retrieve(again.id, { memory_store_id })).content).toBe("the password");
  await memories.delete(again.id, { memory_store_id });
  await versions.redact(again.memory_version_id, { memory_store_id });
  const blobs = await server.test.database
    .selectFrom("file_blobs")
    .select("content")
    .where("organization_id", "=", principal.organizationId)
    .execute();
  expect(blobs.map((blob) => String(blob.content)).join()).not.toContain("password");
  const none = versions.redact("memver_none", { memory_store_id });
  expect(await refusalOf(none)).toMatchObject({ code: "not_found" });
  const elsewhere = await sdk.beta.memoryStores.create({ name: "elsewhere" });
  const wrong = versions.redact(created.memory_version_id, { memory_store_id: elsewhere.id });
  expect(await refusalOf(wrong)).toMatchObject({ code: "not_found" });
});

test("lists filter by memory, operation, writer and time, and page", async () => {
  const { store, memory_store_id, memories, versions, listed, write, principal, sdk } = await newStore();
  const { id: session_id } = await newSession(sdk);
  const first = await memories.create(store.id, { path: "/1.md", content: "1" });
  await write("/2.md", "2", { sessionId: session_id, toolUseId: "sevt_1", untrusted: true });
  await write("/3.md", "3", { userId: "user_writer", via: "api" });
  await write("/4.md", "4", { via: "import" });
  await memories.delete(first.id, { memory_store_id });
  const paths = async (query: MemoryVersionListParams) => (await listed(query)).map((version) => version.path);
  expect(await paths({ memory_id: first.id })).toEqual(["/1.md", "/1.md"]);
  expect(await paths({ memory_id: first.id, operation: "deleted" })).toEqual(["/1.md"]);
  expect(await paths({ operation: "modified" })).toEqual([]);
  expect(await paths({ session_id })).toEqual(["/2.md"]);
  expect(await paths({ api_key_id: principal.apiKeyId })).toEqual(["/1.md", "/1.md"]);
  expect(await paths({ service_account_id: "svac_1" })).toEqual([]);
  expect(await paths({ "created_at[gte]": "2999-01-01T00:00:00Z" })).toEqual([]);
  expect(await paths({ "created_at[lte]": "2999-01-01T00:00:00Z" })).toHaveLength(5);
  const [two] = await listed({ session_id });
  expect(two).toMatchObject({
    created_by: { type: "session_actor", session_id },
    x_exoloop: { via: "tool", untrusted: true, tool_use_id: "sevt_1" },
  });
  const byPath = new Map((await listed()).map((version) => [version.path, version]));
  expect(byPath.get("/3.md")?.created_by).toEqual({ type: "user_actor", user_id: "user_writer" });
  expect(byPath.get("/4.md")?.created_by).toBeUndefined();
  const paged: (string | null | undefined)[] = [];
  for await (const version of versions.list(store.id, { limit: 1 })) paged.push(version.path);
  expect(paged).toEqual(["/1.md", "/4.md", "/3.md", "/2.md", "/1.md"]);
});

/** Memory stores over the wire, through the official SDK. */
import { memoryStore as storeSchema } from "@exoloop/protocol/memory-stores";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createStoredFiles } from "../files/postgres/stored-files.ts";
import { organizationMemoryMount } from "../files/mounts.ts";
import { encodeText } from "../files/text.ts";
import { newMemoryCaller, refusalOf } from "./testing-memory.ts";
import { type TestServer, startTestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

test("a store is created, read, changed and archived", async () => {
  const { stores } = await newMemoryCaller(server);
  const created = await stores.create({
    name: "User Preferences",
    description: "What they like.",
    metadata: { a: "1" },
  });
  expect(storeSchema.safeParse(created).error).toBeUndefined();
  expect(created).toMatchObject({
    type: "memory_store",
    id: expect.stringMatching(/^memstore_/),
    name: "User Preferences",
    description: "What they like.",
    metadata: { a: "1" },
    archived_at: null,
    x_exoloop: { kind: "named", memories: 0 },
  });
  expect(await stores.retrieve(created.id)).toEqual(created);
  expect((await stores.create({ name: "x" })).description).toBe("");
  const changed = await stores.update(created.id, { name: "Likes", description: "", metadata: { a: null, b: "2" } });
  expect(changed).toMatchObject({ name: "Likes", description: "", metadata: { b: "2" } });
  expect(Date.parse(changed.updated_at)).toBeGreaterThan(Date.parse(created.updated_at));
  expect(await stores.update(created.id, { name: null, description: null, metadata: null })).toMatchObject({
    name: "Likes",
    metadata: { b: "2" },
  });
  const archived = await stores.archive(created.id);
  expect(archived.archived_at).not.toBeNull();
  expect(await stores.archive(created.id)).toEqual(archived);
  expect(await refusalOf(stores.update(created.id, { name: "x" }))).toMatchObject({
    status: 400,
    code: "memory_store_archived",
  });
});

test("what a store cannot be is refused", async () => {
  const { stores } = await newMemoryCaller(server);
  const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
  for (const wrong of [
    { name: "" },
    { name: "n".repeat(256) },
    { name: "a\nb" },
    { name: "n", description: "d".repeat(1025) },
    { name: "n", metadata: pairs(17) },
    { name: "n", metadata: { ["k".repeat(65)]: "v" } },
    { name: "n", metadata: { k: "v".repeat(513) } },
    { name: "n", other: 1 },
  ]) {
    expect(await refusalOf(stores.create(wrong))).toMatchObject({ status: 400, code: "invalid_request" });
  }
  const { id } = await stores.create({ name: "n", metadata: pairs(16) });
  expect(await refusalOf(stores.update(id, { metadata: { more: "v" } }))).toMatchObject({ code: "invalid_metadata" });
});

test("lists filter, page, and show one organization", async () => {
  const { stores } = await newMemoryCaller(server);
  const ids: string[] = [];
  for (let index = 0; index < 3; index += 1) ids.unshift((await stores.create({ name: `n${index}` })).id);
  const [third = "", second = "", first = ""] = ids;
  await stores.archive(first);
  const named = async (query: Parameters<typeof stores.list>[0]) =>
    (await stores.list(query)).data.filter((store) => store.name !== "org").map((store) => store.id);
  expect(await named({})).toEqual([third, second]);
  expect(await named({ include_archived: true })).toEqual(ids);
  expect(await named({ "created_at[gte]": "2999-01-01T00:00:00Z" })).toEqual([]);
  expect(await named({ "created_at[lte]": (await stores.retrieve(second)).created_at })).not.toContain(third);
  const paged: string[] = [];
  for await (const store of stores.list({ limit: 1, include_archived: true })) paged.push(store.id);
  expect(paged.slice(0, 3)).toEqual(ids);
  expect(paged).toHaveLength(4);

  const other = (await newMemoryCaller(server)).stores;
  expect((await other.list()).data.map((store) => store.name)).toEqual(["org"]);
  for (const verb of ["retrieve", "archive", "delete"] as const) {
    expect(await refusalOf(other[verb](third))).toMatchObject({ status: 404, code: "not_found" });
  }
  expect(await refusalOf(other.update(third, { name: "x" }))).toMatchObject({ code: "not_found" });
});

test("the organization's own memory is a store that stays", async () => {
  const { stores, principal } = await newMemoryCaller(server);
  const own = await stores.retrieve("memstore_org");
  expect(own).toMatchObject({ name: "org", x_exoloop: { kind: "organization", memories: 0 } });
  expect(await stores.retrieve(own.id)).toEqual(own);
  expect((await stores.list()).data.map((store) => store.id)).toEqual([own.id]);
  const files = createStoredFiles(server.test.database).open(
    { organizationId: principal.organizationId, sessionId: null },
    organizationMemoryMount,
  );
  const actor = { organizationId: principal.organizationId, sessionId: null, toolUseId: null, via: "import" as const };
  await files.write("/memory/org/notes/a.md", encodeText("from a session"), actor);
  const [memory] = (await stores.memories.list("memstore_org", { view: "full" })).data;
  expect(memory).toMatchObject({ path: "/notes/a.md", content: "from a session", memory_store_id: own.id });
  await stores.memories.create(own.id, { path: "/b.md", content: "from a client" });
  expect(Buffer.from((await files.read("/memory/org/b.md")).bytes).toString()).toBe("from a client");
  expect((await stores.update(own.id, { description: "Ours." })).description).toBe("Ours.");
  for (const refused of [
    () => stores.archive(own.id),
    () => stores.delete(own.id),
    () => stores.update(own.id, { name: "x" }),
  ]) {
    expect(await refusalOf(refused())).toMatchObject({ status: 400, code: "unsupported" });
  }
});

test("a deleted store takes its memories, versions and contents along, and nobody else's", async () => {
  const { stores, principal } = await newMemoryCaller(server);
  const [doomed, kept] = [await stores.create({ name: "doomed" }), await stores.create({ name: "kept" })];
  await stores.memories.create(doomed.id, { path: "/own.md", content: "only here" });
  for (const { id } of [doomed, kept]) await stores.memories.create(id, { path: "/both.md", content: "in both" });
  // Of what both have, the kept store has the one now and the other in its history.
  for (const { id } of [doomed, kept]) {
    const old = await stores.memories.create(id, { path: "/old.md", content: "once in both" });
    await stores.memories.delete(old.id, { memory_store_id: id });
  }
  expect(await stores.delete(doomed.id)).toEqual({ id: doomed.id, type: "memory_store_deleted" });
  expect(await refusalOf(stores.retrieve(doomed.id))).toMatchObject({ code: "not_found" });
  expect(await refusalOf(stores.memories.list(doomed.id))).toMatchObject({ code: "not_found" });
  expect(await refusalOf(stores.delete(doomed.id))).toMatchObject({ code: "not_found" });
  const { database } = server.test;
  const { organizationId } = principal;
  const blobs = await database
    .selectFrom("file_blobs")
    .select("content")
    .where("organization_id", "=", organizationId)
    .execute();
  expect(blobs.map((blob) => String(blob.content)).sort()).toEqual(["in both", "once in both"]);
  for (const table of ["file_versions", "file_entries", "file_mounts"] as const) {
    const rows = await database
      .selectFrom(table)
      .select("mount")
      .where("organization_id", "=", organizationId)
      .execute();
    expect(new Set(rows.map((row) => row.mount))).toEqual(new Set([`store/${kept.id}`]));
  }
  expect((await stores.memories.list(kept.id, { view: "full" })).data).toMatchObject([{ content: "in both" }]);
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { memoryStoreKey, memoryStoreMount } from "../files/mounts.ts";
import { createStoredFiles } from "../files/postgres/stored-files.ts";
import { startTestServer, type TestServer } from "./testing.ts";
import { newMemoryCaller } from "./testing-memory.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

test("a path at the limits is read by sessions, wherever they see the store", async () => {
  const { stores } = await newMemoryCaller(server);
  const store = await stores.create({ name: "notes" });
  const paths = [
    `/${Array.from({ length: 20 }, (_, level) => `s${level}`).join("/")}`,
    `/${"a".repeat(255)}`.repeat(4),
  ];
  const row = await server.test.database
    .selectFrom("memory_stores")
    .select("organization_id")
    .where("id", "=", store.id)
    .executeTakeFirstOrThrow();
  const owner = { organizationId: row.organization_id, sessionId: null };
  const mount = memoryStoreMount(memoryStoreKey(store.id), "/memory/a-store-with-a-long-name", "read_write");
  const files = createStoredFiles(server.test.database).open(owner, mount);
  for (const path of paths) {
    await stores.memories.create(store.id, { path, content: "deep" });
    expect(Buffer.from((await files.read(`${mount.prefix}${path}`)).bytes).toString()).toBe("deep");
  }
});

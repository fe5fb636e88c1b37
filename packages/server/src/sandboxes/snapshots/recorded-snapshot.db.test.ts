import { afterAll, beforeAll, expect, it } from "vitest";
import type { BlobStore, StoredBlob } from "../../blobs/store.ts";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import { insertTestSession } from "../../sessions/testing-database.ts";
import { recordSnapshot } from "./recorded-snapshot.ts";
import { createMemoryBlobs, noise } from "./testing.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

async function begin() {
  const owner = await insertTestSession(test.database);
  const { store } = createMemoryBlobs();
  const blobs: StoredBlob[] = [];
  for (let index = 0; index < 40; index += 1) {
    const content = noise(10);
    await store.put(owner.organizationId, content);
    blobs.push(await store.put(owner.organizationId, content));
  }
  const row = { session_id: owner.sessionId, organization_id: owner.organizationId, provider: "memory", generation: 1 };
  await test.database
    .insertInto("sandboxes")
    .values({ ...row, snapshot_id: null, snapshot_at: null })
    .execute();
  const manifest = { sandboxId: "sbx_1", directories: [], links: [], files: [], leftOut: 0 };
  const record = { owner, generation: 1, parentId: null, begunAt: Date.now(), manifest, manifestBlobs: blobs };
  return { store, record: { ...record, stored: blobs } };
}

/** A bucket: an answer takes a while. */
function far(store: BlobStore) {
  const seen = { asked: 0, asking: 0, mostAtOnce: 0 };
  const has: BlobStore["has"] = async (organizationId, sha256) => {
    seen.asked += 1;
    seen.asking += 1;
    seen.mostAtOnce = Math.max(seen.mostAtOnce, seen.asking);
    await new Promise((resolve) => setTimeout(resolve, 10));
    seen.asking -= 1;
    return store.has(organizationId, sha256);
  };
  return { seen, blobs: { ...store, has } };
}

it("asks for old blobs many at a time: the sandbox's row and the collector wait for it", async () => {
  const { store, record } = await begin();
  const { seen, blobs } = far(store);
  const recorded = await recordSnapshot(test.database, blobs, record);
  expect(recorded).toMatchObject({ id: expect.stringMatching(/^\w+$/) });
  expect([seen.asked, seen.mostAtOnce]).toEqual([40, 16]);
  expect(await recordSnapshot(test.database, blobs, record)).toBe("overtaken");
  // Those that the last one names are there.
  const parentId = typeof recorded === "string" ? null : recorded.id;
  expect(await recordSnapshot(test.database, blobs, { ...record, parentId })).toHaveProperty("id");
  expect(seen.asked).toBe(40);
  expect(await recordSnapshot(test.database, blobs, { ...record, generation: 0 })).toBe("older");
});

it("is overtaken when the collector took any of them", async () => {
  for (const gone of [0, 20, 39]) {
    const { store, record } = await begin();
    await store.delete(record.owner.organizationId, record.stored[gone]?.sha256 ?? "");
    expect(await recordSnapshot(test.database, far(store).blobs, record)).toBe("overtaken");
  }
});

it("is overtaken when it was begun hours ago and the collector took anything that is new", async () => {
  const { store, record } = await begin();
  const stored = record.stored.map((blob) => ({ ...blob, existed: false }));
  const { seen, blobs } = far(store);
  const late = { ...record, stored, begunAt: Date.now() - 7_200_000 };
  await store.delete(record.owner.organizationId, stored[3]?.sha256 ?? "");
  expect(await recordSnapshot(test.database, blobs, late)).toBe("overtaken");
  // The hours before it was begun are no reason to ask.
  const { asked } = seen;
  expect(await recordSnapshot(test.database, blobs, { ...late, begunAt: Date.now() })).toHaveProperty("id");
  expect([asked > 0, seen.asked]).toEqual([true, asked]);
});

/** A server that stands still for hours between the storing of a snapshot and its row, as on a machine that sleeps. */
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import type { BlobStore } from "../../blobs/store.ts";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import type { NoticeBoard } from "../../sessions/notices.ts";
import { insertTestSession } from "../../sessions/testing-database.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { collectSnapshots } from "./collect.ts";
import { createSnapshots } from "./stored-snapshots.ts";
import { createMemoryBlobs, createSandbox, describeTree, file, noise, place } from "./testing.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => test.drop());

it("writes down no snapshot whose blobs the collector has taken meanwhile: it is taken again", async () => {
  const { database } = test;
  const provider = createMemoryProvider();
  const [owner, sandbox, { store, contents }] = [
    await insertTestSession(database),
    await createSandbox(provider),
    createMemoryBlobs(),
  ];
  const row = { session_id: owner.sessionId, organization_id: owner.organizationId, provider: "memory", generation: 1 };
  await database
    .insertInto("sandboxes")
    .values({ ...row, sandbox_id: sandbox.reference.id, snapshot_id: null, snapshot_at: null })
    .execute();
  await place(sandbox.session, file("a", noise(5000)));
  let collected = 0;
  const blobs: BlobStore = {
    ...store,
    async put(organizationId, bytes) {
      const stored = await store.put(organizationId, bytes);
      // The pack and the manifest are there. No clock has moved but that on the wall.
      if (contents.size === 2 && collected === 0) {
        vi.spyOn(Date, "now").mockReturnValue(Date.now() + 2 * 3_600_000);
        collected = (await collectSnapshots({ database, blobs: store }, new AbortController().signal)).blobs;
      }
      return stored;
    },
  };
  const notices = { publish: () => undefined } as unknown as NoticeBoard;
  const snapshots = createSnapshots({ database, blobs, notices, log: createLogger("silent") });
  await snapshots.take({ owner, sandbox, generation: 1 });
  expect(collected).toBe(2);
  const { snapshot_id: last } = await database
    .selectFrom("sandboxes")
    .select("snapshot_id")
    .where("session_id", "=", owner.sessionId)
    .executeTakeFirstOrThrow();
  const other = await createSandbox(provider);
  await snapshots.restore(owner, last ?? "none", other);
  expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
});

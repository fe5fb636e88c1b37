import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, expect, it } from "vitest";
import { insertTestSession } from "../../sessions/testing-database.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { type MemoryWorld, startMemoryWorld } from "../testing-memory.ts";
import { beginWithSnapshot, createSnapshotRepository } from "./listed-snapshots.ts";
import { createSnapshots } from "./stored-snapshots.ts";
import { createMemoryBlobs } from "./testing.ts";

let world: MemoryWorld;
beforeAll(async () => {
  world = await startMemoryWorld();
});
afterAll(() => world.stop());

it("a session that begins with a snapshot of another one sees its files as they were then, and leaves it alone", async () => {
  const { database, notices } = world;
  const log = createLogger("silent");
  const snapshots = createSnapshots({ database, blobs: createMemoryBlobs().store, notices, log });
  const worker = world.worker({ snapshots });
  const origin = await world.createOwner();
  for (const text of ["first", "second"]) {
    await world.run(worker, origin, `echo ${text} > file.txt`);
    await worker.workspaces.settle();
  }
  const principal = { organizationId: origin.organizationId };
  const query = { limit: 10, position: null, direction: "next", order: "asc", includeArchived: true } as const;
  const { rows } = await createSnapshotRepository(database).list(principal as never, origin.sessionId, query);
  expect(rows.length).toBe(2);
  const fork = { ...(await insertTestSession(database)), organizationId: origin.organizationId };
  await database.transaction().execute(async (transaction) => {
    await beginWithSnapshot(transaction, { id: fork.sessionId, ...fork }, rows[0]?.id ?? "");
  });
  const { output, notices: told } = await world.run(worker, fork, "cat file.txt; echo fork > file.txt");
  expect(output).toBe("first\n");
  expect(told.join()).not.toContain("<sandbox_replaced>");
  expect((await world.run(worker, origin, "cat file.txt")).output).toBe("second\n");
  await expect(
    database
      .transaction()
      .execute((transaction) =>
        beginWithSnapshot(transaction, { id: createId("session"), ...fork }, createId("snapshot")),
      ),
  ).rejects.toMatchObject({ code: "not_found" });
});

import { createId } from "@exoloop/protocol/ids";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { BlobStore } from "../../blobs/store.ts";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import type { NoticeBoard } from "../../sessions/notices.ts";
import { insertTestSession, type TestSession } from "../../sessions/testing-database.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { collectSnapshots, snapshotsKept } from "./collect.ts";
import { createSnapshots } from "./stored-snapshots.ts";
import { createMemoryBlobs, createSandbox, describeTree, file, noise, place } from "./testing.ts";

const provider = createMemoryProvider();
let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

let blobs: ReturnType<typeof createMemoryBlobs>;
let owner: TestSession;
let sandbox: Sandbox;
let frames: unknown[];
beforeEach(async () => {
  blobs = createMemoryBlobs();
  owner = await insertTestSession(test.database);
  sandbox = await createSandbox(provider);
  frames = [];
  await insertSandboxRow(owner);
});

async function insertSandboxRow({ sessionId, organizationId }: TestSession, snapshotId: string | null = null) {
  const row = { session_id: sessionId, organization_id: organizationId, provider: "memory", generation: 1 };
  await test.database
    .insertInto("sandboxes")
    .values({ ...row, sandbox_id: sandbox.reference.id, snapshot_id: snapshotId, snapshot_at: null })
    .execute();
}

/** Snapshots as one worker has them. */
function worker(store: BlobStore = blobs.store) {
  const notices = { publish: (notice: unknown) => void frames.push(notice) } as unknown as NoticeBoard;
  return createSnapshots({ database: test.database, blobs: store, notices, log: createLogger("silent") });
}

const source = () => ({ owner, sandbox, generation: 1 });
const rows = () =>
  test.database
    .selectFrom("snapshots")
    .selectAll()
    .where("organization_id", "=", owner.organizationId)
    .orderBy("created_at")
    .execute();
const lastId = async () => (await rows()).at(-1)?.id ?? "none";

describe("a session's snapshots", () => {
  it("are written down with what they need, and restored by another worker", async () => {
    await place(sandbox.session, file("a", noise(50_000)), file("b", "two"));
    const snapshots = worker();
    await snapshots.take(source());
    await place(sandbox.session, file("b", "changed"));
    await snapshots.take(source());
    const [first, second] = await rows();
    expect(first).toMatchObject({ session_id: owner.sessionId, files: 2, parent_id: null, generation: 1, kept: false });
    expect(Number(first?.logical_bytes)).toBe(50_003);
    expect(Number(first?.stored_bytes)).toBeGreaterThan(50_000);
    expect(second?.parent_id).toBe(first?.id);
    expect(Number(second?.stored_bytes)).toBeLessThan(1000);
    expect(second?.blobs.length).toBe(3);
    expect(frames.length).toBe(2);
    const other = await createSandbox(provider);
    await worker().restore(owner, await lastId(), other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("store nothing when nothing has changed", async () => {
    await place(sandbox.session, file("a", "one"));
    const snapshots = worker();
    await snapshots.take(source());
    const { put } = blobs.counts;
    await snapshots.take(source());
    await worker().take(source());
    expect([blobs.counts.put, (await rows()).length]).toEqual([put, 1]);
  });

  it("read nothing after a restore, nor fetch a manifest", async () => {
    await place(sandbox.session, file("a", "one"));
    const snapshots = worker();
    await snapshots.take(source());
    sandbox = await createSandbox(provider);
    await snapshots.restore(owner, await lastId(), sandbox);
    const [reads, gets] = [provider.controls.calls("fetchFiles"), blobs.counts.get];
    await snapshots.take(source());
    expect([provider.controls.calls("fetchFiles"), blobs.counts.get]).toEqual([reads, gets]);
  });

  it("of an older generation are refused", async () => {
    await place(sandbox.session, file("a", "one"));
    const snapshots = worker();
    await snapshots.take({ ...source(), generation: 0 });
    expect(await rows()).toEqual([]);
    // It is replaced while the content is stored.
    const replacing: BlobStore = {
      ...blobs.store,
      async put(organizationId, content) {
        await test.database
          .updateTable("sandboxes")
          .set({ generation: 2 })
          .where("session_id", "=", owner.sessionId)
          .execute();
        return blobs.store.put(organizationId, content);
      },
    };
    await worker(replacing).take(source());
    expect(await rows()).toEqual([]);
  });

  it("that another worker overtook are taken again", async () => {
    await place(sandbox.session, file("a", "one"));
    let overtaken = false;
    const slow: BlobStore = {
      ...blobs.store,
      async put(organizationId, content) {
        const stored = await blobs.store.put(organizationId, content);
        if (!overtaken) {
          overtaken = true;
          await worker().take(source());
          await place(sandbox.session, file("b", "later"));
        }
        return stored;
      },
    };
    await worker(slow).take(source());
    expect((await rows()).map(({ files }) => files)).toEqual([1, 2]);
    const other = await createSandbox(provider);
    await worker().restore(owner, await lastId(), other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("stand on a damaged one: everything is stored anew", async () => {
    await place(sandbox.session, file("a", "one"));
    await worker().take(source());
    blobs.contents.clear();
    await place(sandbox.session, file("b", "two"));
    await worker().take(source());
    const other = await createSandbox(provider);
    await worker().restore(owner, await lastId(), other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });

  it("of another organization are not restored", async () => {
    await place(sandbox.session, file("a", "secret"));
    await worker().take(source());
    const stranger = await insertTestSession(test.database);
    const other = await createSandbox(provider);
    await expect(worker().restore(stranger, await lastId(), other)).rejects.toThrow("there is no snapshot");
    expect(await describeTree(other.session)).toEqual({});
  });
});

describe("the collector", () => {
  const never = new AbortController().signal;
  const later = () => Date.now() + 2 * 3_600_000;
  const collect = (now = later(), store = blobs.store) =>
    collectSnapshots({ database: test.database, blobs: store, now: () => now }, never);
  const stored = () => [...blobs.contents.keys()].map((key) => key.slice(key.indexOf("/") + 1)).sort();
  const needed = async () => [...new Set((await rows()).flatMap((row) => row.blobs))].sort();

  async function takeMany(count: number) {
    const snapshots = worker();
    for (let index = 0; index < count; index += 1) {
      await place(sandbox.session, file(`f${index % 3}`, noise(1000)));
      await snapshots.take(source());
    }
  }

  it("keeps the latest, the kept, and those that a sandbox starts from; then only what these need", async () => {
    await takeMany(snapshotsKept + 5);
    const all = await rows();
    const [first, second, third] = all.map(({ id }) => id);
    if (first === undefined || second === undefined || third === undefined) throw new Error("too few");
    await test.database.updateTable("snapshots").set({ kept: true }).where("id", "=", first).execute();
    const fork = await insertTestSession(test.database);
    await insertSandboxRow({ ...fork, organizationId: owner.organizationId }, second);
    await collect();
    const kept = (await rows()).map(({ id }) => id);
    expect(kept).toEqual([first, second, ...all.slice(5).map(({ id }) => id)]);
    expect(stored()).toEqual(await needed());
    for (const id of [first, second, await lastId()]) {
      await worker().restore(owner, id, await createSandbox(provider));
    }
    await expect(worker().restore(owner, third, await createSandbox(provider))).rejects.toThrow("no snapshot");
  });

  it("leaves blobs of the last hour alone, and those of other organizations", async () => {
    await takeMany(2);
    await blobs.store.put(owner.organizationId, Buffer.from("nobody names it yet"));
    const before = stored();
    expect((await collect(Date.now() + 60_000)).blobs).toBe(0);
    expect(stored()).toEqual(before);
    const stranger = createId("organization");
    await blobs.store.put(stranger, Buffer.from("unknown to this database"));
    expect((await collect()).blobs).toBe(1);
    expect([...blobs.contents.keys()].filter((key) => key.startsWith(stranger)).length).toBe(1);
  });

  it("deletes what a deleted session leaves, unless another one starts from it", async () => {
    await takeMany(2);
    const fork = await insertTestSession(test.database);
    await insertSandboxRow({ ...fork, organizationId: owner.organizationId }, await lastId());
    await test.database.deleteFrom("sessions").where("id", "=", owner.sessionId).execute();
    await collect();
    expect((await rows()).length).toBe(1);
    expect(stored()).toEqual(await needed());
    await worker().restore(owner, await lastId(), await createSandbox(provider));
    await test.database.deleteFrom("sandboxes").where("session_id", "=", fork.sessionId).execute();
    await collect();
    expect([await rows(), stored()]).toEqual([[], []]);
  });

  it("keeps every part of a manifest of more than 200,000 entries", async () => {
    const resources = { memoryBytes: 2 ** 28, processes: 32, cpus: 1, diskBytes: 2 ** 30, files: 300_000 };
    const create = () => provider.create({ id: createId("sandbox"), owner: "test", resources, environment: {} });
    sandbox = await create();
    const links = Array.from({ length: 210_000 }, (_, index) => ({
      kind: "symlink" as const,
      path: `/workspace/l${index}`,
      target: `${index}`,
    }));
    await sandbox.session.placeEntries({ entries: links });
    await worker().take(source());
    await place(sandbox.session, file("new", "x"));
    await worker().take(source());
    const [first, second] = await rows();
    expect(second?.blobs.filter((sha256) => first?.blobs.includes(sha256)).length).toBeGreaterThan(20);
    await collect();
    expect(stored()).toEqual(await needed());
    const other = await create();
    const calls = provider.controls.calls("placeEntries");
    await worker().restore(owner, await lastId(), other);
    expect((await other.session.listTree({ path: "/workspace", maximumEntries: 300_000 })).length).toBe(210_001);
    expect(provider.controls.calls("placeEntries") - calls).toBe(11);
  });

  it("goes on where it was stopped", async () => {
    await takeMany(1);
    for (let index = 0; index < 100; index += 1) await blobs.store.put(owner.organizationId, noise(10));
    let deletions = 0;
    const crashing: BlobStore = {
      ...blobs.store,
      async delete(organizationId, sha256) {
        deletions += 1;
        if (deletions > 20) throw new Error("lost in the middle");
        await blobs.store.delete(organizationId, sha256);
      },
    };
    await expect(collect(later(), crashing)).rejects.toThrow("lost in the middle");
    await worker().restore(owner, await lastId(), await createSandbox(provider));
    const stopped = new AbortController();
    stopped.abort();
    const stop = { database: test.database, blobs: blobs.store, now: later };
    expect(await collectSnapshots(stop, stopped.signal)).toEqual({ snapshots: 0, blobs: 0 });
    expect((await collect()).blobs).toBe(80);
    expect(stored()).toEqual(await needed());
  });

  it("deletes nothing under a snapshot that is being written down", async () => {
    // The same content was stored two hours ago, by a snapshot that is gone.
    const content = noise(5000);
    await place(sandbox.session, file("a", content));
    await worker().take(source());
    await test.database.updateTable("sandboxes").set({ snapshot_id: null }).execute();
    await test.database.deleteFrom("snapshots").where("organization_id", "=", owner.organizationId).execute();
    let collected = 0;
    const meanwhile: BlobStore = {
      ...blobs.store,
      async put(organizationId, bytes) {
        const result = await blobs.store.put(organizationId, bytes);
        if (collected === 0) collected = (await collect()).blobs;
        return result;
      },
    };
    await worker(meanwhile).take(source());
    expect(collected).toBeGreaterThan(0);
    const other = await createSandbox(provider);
    await worker().restore(owner, await lastId(), other);
    expect(await describeTree(other.session)).toEqual(await describeTree(sandbox.session));
  });
});

/** Snapshots whose content is in a bucket: a real S3-compatible server, a real Postgres, and connections that break. */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createS3BlobStore } from "../../blobs/s3-store.ts";
import { type BreakingLine, type S3TestServer, startBreakingLine, startS3TestServer } from "../../blobs/testing.ts";
import { createTestDatabase, type TestDatabase } from "../../db/testing.ts";
import type { NoticeBoard } from "../../sessions/notices.ts";
import { insertTestSession, type TestSession } from "../../sessions/testing-database.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { captureWorkspace } from "./capture.ts";
import { collectSnapshots } from "./collect.ts";
import { createSnapshots } from "./stored-snapshots.ts";
import { createSandbox, describeTree, file, noise, place, testRoot } from "./testing.ts";

const provider = createMemoryProvider();
let test: TestDatabase;
let s3: S3TestServer;
let line: BreakingLine;
beforeAll(async () => {
  test = await createTestDatabase();
  s3 = await startS3TestServer();
  line = await startBreakingLine(s3.location.endpoint ?? "");
});
afterAll(async () => {
  await line.stop();
  await s3.stop();
  await test.drop();
});

let owner: TestSession;
let sandbox: Sandbox;
beforeEach(async () => {
  owner = await insertTestSession(test.database);
  sandbox = await createSandbox(provider);
  const { sessionId, organizationId } = owner;
  const row = { session_id: sessionId, organization_id: organizationId, provider: "memory", generation: 1 };
  const sandboxId = sandbox.reference.id;
  await test.database
    .insertInto("sandboxes")
    .values({ ...row, sandbox_id: sandboxId, snapshot_id: null, snapshot_at: null })
    .execute();
  line.mend();
});

/** Over the line that breaks. */
const blobs = () =>
  createS3BlobStore({
    ...s3,
    location: { ...s3.location, endpoint: line.endpoint },
    retryAfterMs: 1,
    timeoutMs: 2_000,
  });
/** Past it. */
const store = () => createS3BlobStore({ ...s3, retryAfterMs: 1 });

function worker() {
  const notices = { publish: () => undefined } as unknown as NoticeBoard;
  return createSnapshots({ database: test.database, blobs: blobs(), notices, log: createLogger("silent") });
}

const source = () => ({ owner, sandbox, generation: 1 });
const rows = () =>
  test.database
    .selectFrom("snapshots")
    .selectAll()
    .where("organization_id", "=", owner.organizationId)
    .orderBy("created_at")
    .execute();

async function stored(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { sha256 } of store().list(owner.organizationId)) keys.push(sha256);
  return keys.sort();
}

async function restoreLast(): Promise<Sandbox> {
  const other = await createSandbox(provider);
  await worker().restore(owner, (await rows()).at(-1)?.id ?? "none", other);
  return other;
}

/** Two hours from now: what nobody names is old. */
const collect = () =>
  collectSnapshots(
    { database: test.database, blobs: blobs(), now: () => Date.now() + 2 * 3_600_000 },
    new AbortController().signal,
  );

it("are taken, restored by another worker, and collected", async () => {
  await place(sandbox.session, file("large", noise(9_000_000)), file("src/small", "one"), file("empty", ""));
  const snapshots = worker();
  await snapshots.take(source());
  await place(sandbox.session, file("src/small", "two"));
  await snapshots.take(source());
  const [first, second] = await rows();
  expect(Number(second?.stored_bytes)).toBeLessThan(2_000);
  expect(await stored()).toEqual([...new Set([...(first?.blobs ?? []), ...(second?.blobs ?? [])])].sort());
  expect(await describeTree((await restoreLast()).session)).toEqual(await describeTree(sandbox.session));
  await test.database
    .deleteFrom("snapshots")
    .where("id", "=", first?.id ?? "")
    .execute();
  expect((await collect()).blobs).toBeGreaterThan(0);
  expect(await stored()).toEqual([...(second?.blobs ?? [])].sort());
  expect(await describeTree((await restoreLast()).session)).toEqual(await describeTree(sandbox.session));
});

it("are whole or not there when the connection is lost in the middle, and the next one succeeds", async () => {
  await place(sandbox.session, file("before", "kept"));
  await worker().take(source());
  const [before] = await rows();
  const change = () => place(sandbox.session, file("large", noise(13_000_000)), file("small", "new"));
  await change();
  const { sent } = line;
  await captureWorkspace({
    session: sandbox.session,
    sandboxId: sandbox.reference.id,
    root: testRoot,
    previous: null,
    blobs: blobs(),
    organizationId: createId("organization"),
  });
  const packs = line.sent - sent;
  // In the first pack, in a later one, and in the manifest.
  for (const bytes of [1_000_000, 7_500_000, packs + 1_000]) {
    const { breaks } = line;
    await change();
    line.breakAfter(bytes);
    await expect(worker().take(source())).rejects.toMatchObject({ name: "BlobError", code: "unreachable" });
    expect(line.breaks).toBe(breaks + 1);
    expect((await rows()).map(({ id }) => id)).toEqual([before?.id]);
    line.mend();
    const restored = await describeTree((await restoreLast()).session);
    expect(Object.keys(restored)).toEqual(["/workspace/before"]);
  }
  await worker().take(source());
  expect(await describeTree((await restoreLast()).session)).toEqual(await describeTree(sandbox.session));
  // What the lost ones had stored is used now, or goes.
  await collect();
  expect(await stored()).toEqual([...new Set((await rows()).flatMap((row) => row.blobs))].sort());
  expect(await describeTree((await restoreLast()).session)).toEqual(await describeTree(sandbox.session));
});

it("do not notice a connection that is lost once, neither when they are taken nor when they are restored", async () => {
  await place(sandbox.session, file("large", noise(9_000_000)));
  const { breaks } = line;
  line.breakOnce(2_000_000);
  await worker().take(source());
  line.breakOnce(1);
  expect(await describeTree((await restoreLast()).session)).toEqual(await describeTree(sandbox.session));
  expect(line.breaks).toBe(breaks + 2);
});

it("leave a sandbox half restored when the store cannot be reached, and say so", async () => {
  await place(sandbox.session, file("large", noise(9_000_000)));
  await worker().take(source());
  const other = await createSandbox(provider);
  const [row] = await rows();
  line.breakAfter(1);
  await expect(worker().restore(owner, row?.id ?? "", other)).rejects.toMatchObject({ code: "unreachable" });
  line.mend();
  expect(await describeTree((await restoreLast()).session)).toEqual(await describeTree(sandbox.session));
});

import Anthropic from "@anthropic-ai/sdk";
import { createClient } from "@exoloop/client/client";
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function connect() {
  const { apiKey, principal } = await server.newOrganization();
  const client = createClient({ baseUrl: server.listener.url, apiKey });
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey });
  const agent = await sdk.beta.agents.create({ name: "a", model: "scripted/none" });
  const environment = await sdk.beta.environments.create({ name: "e" });
  const create = (workspaceSnapshot?: string) =>
    client.sessions.create({
      agent: agent.id,
      environment_id: environment.id,
      ...(workspaceSnapshot === undefined ? {} : { x_exoloop: { workspace_snapshot: workspaceSnapshot } }),
    });
  return { client, create, organizationId: principal.organizationId };
}

async function insertSnapshots(organizationId: string, sessionId: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => createId("snapshot"));
  for (const [index, id] of ids.entries()) {
    const figures = { logical_bytes: 1000, stored_bytes: 100, files: index, left_out: 1, generation: 1 };
    const keys = { id, organization_id: organizationId, session_id: sessionId, parent_id: ids[index - 1] ?? null };
    await server.test.database
      .insertInto("snapshots")
      .values({ ...keys, ...figures, manifest_sha256: "0".repeat(64), blobs: [] })
      .execute();
  }
  return ids;
}

test("a session's snapshots are listed page by page, and one is kept", async () => {
  const { client, create, organizationId } = await connect();
  const { id } = await create();
  const ids = await insertSnapshots(organizationId, id, 5);
  const first = await client.snapshots.list(id, { limit: 3 });
  expect(first.data.map((snapshot) => snapshot.id)).toEqual([...ids].reverse().slice(0, 3));
  expect(first.data[0]).toEqual({
    type: "workspace_snapshot",
    id: ids[4],
    session_id: id,
    parent_id: ids[3],
    generation: 1,
    files: 4,
    left_out: 1,
    bytes: 1000,
    stored_bytes: 100,
    kept: false,
    created_at: expect.stringMatching(/^\d{4}-/),
  });
  const second = await client.snapshots.list(id, { limit: 3, page: first.next_page ?? "" });
  expect([second.data.map((snapshot) => snapshot.id), second.next_page]).toEqual([[ids[1], ids[0]], null]);
  expect((await client.snapshots.update(id, ids[1] ?? "", { kept: true })).kept).toBe(true);
  expect((await client.snapshots.list(id)).data.map(({ kept }) => kept)).toEqual([false, false, false, true, false]);
});

test("a session begins with a snapshot, which it names", async () => {
  const { create, client, organizationId } = await connect();
  const { id } = await create();
  const [snapshot = ""] = await insertSnapshots(organizationId, id, 1);
  const fork = await create(snapshot);
  expect(fork.x_exoloop.sandbox).toMatchObject({ sandbox_id: null, generation: 0, snapshot_at: expect.any(String) });
  const row = await server.test.database
    .selectFrom("sandboxes")
    .select("snapshot_id")
    .where("session_id", "=", fork.id)
    .executeTakeFirst();
  expect(row?.snapshot_id).toBe(snapshot);
  expect((await client.snapshots.list(fork.id)).data).toEqual([]);
});

test("what is not there, or another organization's, is not found, and changes nothing", async () => {
  const one = await connect();
  const other = await connect();
  const { id } = await one.create();
  const [snapshot = ""] = await insertSnapshots(one.organizationId, id, 1);
  const problemOf = (call: Promise<unknown>) =>
    call.then(
      () => "none",
      (error: unknown) => String(error),
    );
  for (const call of [() => other.create(snapshot), () => one.create(createId("snapshot"))]) {
    expect(await problemOf(call())).toMatch(/x_exoloop\.workspace_snapshot: there is no snapshot with this id/);
  }
  expect((await other.client.sessions.list()).data).toEqual([]);
  expect(await problemOf(other.client.snapshots.list(id))).toMatch(/no session with the id/);
  expect(await problemOf(other.client.snapshots.update(id, snapshot, { kept: true }))).toMatch(
    /no session with the id/,
  );
  const unknown = createId("snapshot");
  expect(await problemOf(one.client.snapshots.update(id, unknown, { kept: true }))).toMatch(/no snapshot/);
  expect((await one.client.snapshots.list(id)).data.map(({ kept }) => kept)).toEqual([false]);
});

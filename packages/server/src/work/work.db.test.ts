import type { BetaHeartbeatPreconditionFailedError } from "@anthropic-ai/sdk/resources/beta/environments/work";
import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../http/testing.ts";
import { stopWork } from "./enqueue.ts";
import { codeOf, openWorkTest, type WorkTest } from "./testing.ts";

let server: TestServer;
let sdk: WorkTest["sdk"];
let environmentId: WorkTest["environmentId"];
let worker: WorkTest["worker"];
let enqueue: WorkTest["enqueue"];
let newWork: WorkTest["newWork"];
let poll: WorkTest["poll"];
let take: WorkTest["take"];

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  ({ sdk, environmentId, worker, enqueue, newWork, poll, take } = await openWorkTest(server));
  server.woken.length = 0;
});

const expireLeases = () =>
  sql`update work_items set lease_expires_at = now() - interval '1 second'`.execute(server.test.database);

test("an item is handed out once, with a token of its session, and lives from poll to stop", async () => {
  const sessionId = await newWork();
  const { item, token, secret, address } = await take();
  expect(item).toMatchObject({ type: "work", state: "starting", data: { type: "session", id: sessionId } });
  expect(secret.api_base_url).toBe(server.listener.url);
  expect(await poll()).toBeNull();
  const { work } = worker.beta.environments;
  expect(await work.ack(item.id, address)).toMatchObject({ state: "starting", secret: null });
  expect((await work.ack(item.id, address)).acknowledged_at).not.toBeNull();
  const first = await token.beta.environments.work.heartbeat(item.id, {
    ...address,
    expected_last_heartbeat: "NO_HEARTBEAT",
  });
  expect(first).toMatchObject({ type: "work_heartbeat", state: "active", lease_extended: true, ttl_seconds: 30 });
  const second = await token.beta.environments.work.heartbeat(item.id, {
    ...address,
    expected_last_heartbeat: first.last_heartbeat,
    desired_ttl_seconds: 1,
  });
  expect(second.ttl_seconds).toBe(5);
  const stale = { ...address, expected_last_heartbeat: first.last_heartbeat };
  for (const client of [token, worker]) {
    expect(await codeOf(client.beta.environments.work.heartbeat(item.id, stale))).toBe("heartbeat_precondition_failed");
  }
  expect(second.last_heartbeat > first.last_heartbeat).toBe(true);
  expect(await token.beta.environments.work.stop(item.id, { ...address, force: true })).toMatchObject({
    state: "stopped",
  });
  // The token ends with the work; the key says what has happened.
  expect(await codeOf(token.beta.sessions.retrieve(sessionId))).toBe("unauthenticated");
  expect(await codeOf(work.stop(item.id, address))).toBe("work_stopped");
  const kept = await sdk.beta.environments.work.retrieve(item.id, address);
  expect([kept.state, kept.secret, kept.started_at === null, kept.stopped_at === null]).toEqual([
    "stopped",
    null,
    false,
    false,
  ]);
});

test("a session has one open item; the end of one wakes the session, which may ask for another", async () => {
  const sessionId = await newWork();
  await Promise.all([enqueue(sessionId), enqueue(sessionId)]);
  const { item, address } = await take();
  await enqueue(sessionId);
  expect(await poll()).toBeNull();
  await worker.beta.environments.work.stop(item.id, address);
  expect(server.woken).toContain(sessionId);
  await enqueue(sessionId);
  expect((await take()).item.id).not.toBe(item.id);
});

test("many polls at once share the items out", async () => {
  const sessions = await Promise.all(Array.from({ length: 5 }, newWork));
  const polled = await Promise.all(Array.from({ length: 12 }, () => poll()));
  const taken = polled.flatMap((item) => item?.data.id ?? []);
  expect(taken.sort()).toEqual(sessions.sort());
});

test("a poll waits for work, and no longer than asked", async () => {
  const began = performance.now();
  expect(await poll(worker, { block_ms: 200 })).toBeNull();
  expect(performance.now() - began).toBeGreaterThanOrEqual(195);
  const waiting = poll(worker, { block_ms: 999 });
  const sessionId = await newWork();
  expect((await waiting)?.data.id).toBe(sessionId);
});

test("what is not acknowledged, or whose lease runs out, is another worker's; the first is told", async () => {
  const sessionId = await newWork();
  const first = await take();
  expect(await poll()).toBeNull();
  const again = await poll(worker, { reclaim_older_than_ms: 0 });
  expect(again?.id).toBe(first.item.id);
  const { work } = worker.beta.environments;
  await work.ack(first.item.id, first.address);
  expect(await poll(worker, { reclaim_older_than_ms: 0 })).toBeNull();
  await expireLeases();
  const second = await take();
  expect(second.item.id).toBe(first.item.id);
  const beaten = await second.token.beta.environments.work.heartbeat(first.item.id, {
    ...first.address,
    expected_last_heartbeat: "NO_HEARTBEAT",
  });
  const error = await first.token.beta.environments.work
    .heartbeat(first.item.id, { ...first.address, expected_last_heartbeat: "NO_HEARTBEAT" })
    .catch((reason: unknown) => reason as BetaHeartbeatPreconditionFailedError);
  expect(error).toMatchObject({
    status: 412,
    error: {
      error: {
        details: {
          error_code: "heartbeat_precondition_failed",
          current_state: {
            state: "active",
            ttl_seconds: 30,
            last_heartbeat: beaten.last_heartbeat,
            lease_extended: false,
          },
        },
      },
    },
  });
  // Even with what only the second can know: the token says whose it is.
  expect(
    await codeOf(
      first.token.beta.environments.work.heartbeat(first.item.id, {
        ...first.address,
        expected_last_heartbeat: beaten.last_heartbeat,
      }),
    ),
  ).toBe("heartbeat_precondition_failed");
  expect(await codeOf(first.token.beta.sessions.retrieve(sessionId))).toBe("forbidden");
  expect(await codeOf(first.token.beta.environments.work.stop(first.item.id, first.address))).toBe("forbidden");
  expect((await second.token.beta.sessions.retrieve(sessionId)).id).toBe(sessionId);
});

test("a stop that is asked for is told by the heartbeat; its worker, or the end of its lease, ends it", async () => {
  const sessionId = await newWork();
  const { item, token, address } = await take();
  await worker.beta.environments.work.ack(item.id, address);
  expect(await sdk.beta.environments.work.stop(item.id, address)).toMatchObject({ state: "stopping" });
  const heard = await token.beta.environments.work.heartbeat(item.id, { ...address, expected_last_heartbeat: "x" });
  expect(heard.state).toBe("stopping");
  expect(await poll()).toBeNull();
  expect((await token.beta.sessions.retrieve(sessionId)).id).toBe(sessionId);
  await expireLeases();
  expect(await poll()).toBeNull();
  expect((await sdk.beta.environments.work.retrieve(item.id, address)).state).toBe("stopped");
  expect(await codeOf(token.beta.sessions.retrieve(sessionId))).toBe("unauthenticated");
  expect(server.woken).toContain(sessionId);
});

test("work that is stopped in the queue is never handed out", async () => {
  const sessionId = await newWork();
  await server.test.database.transaction().execute((transaction) => stopWork(transaction, sessionId));
  expect(await poll()).toBeNull();
});

test("the figures of a queue, its items and their metadata", async () => {
  await newWork();
  await newWork();
  const { item, address } = await take(worker);
  await poll(worker, { "Anthropic-Worker-ID": "worker one" });
  const stats = await sdk.beta.environments.work.stats(environmentId);
  expect(stats).toMatchObject({ type: "work_queue_stats", depth: 0, pending: 2, workers_polling: 1 });
  expect(stats.oldest_queued_at).toBe(item.created_at);
  const { work } = sdk.beta.environments;
  await work.update(item.id, { ...address, metadata: { a: "1", b: "2" } });
  const updated = await work.update(item.id, { ...address, metadata: { a: null } });
  expect(updated.metadata).toEqual({ b: "2" });
  const ids: string[] = [];
  for await (const listed of work.list(environmentId, { limit: 1 })) ids.push(listed.id);
  expect(ids).toHaveLength(2);
  expect(ids.at(-1)).toBe(item.id);
});

test("a deleted session takes its work along, and an archived environment hands nothing out", async () => {
  const sessionId = await newWork();
  const { item, token, address } = await take();
  await sdk.beta.sessions.delete(sessionId);
  expect(await codeOf(token.beta.environments.work.heartbeat(item.id, address))).toBe("unauthenticated");
  await newWork();
  await sdk.beta.environments.archive(environmentId);
  expect(await poll()).toBeNull();
});

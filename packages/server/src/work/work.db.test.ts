import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { type BetaHeartbeatPreconditionFailedError } from "@anthropic-ai/sdk/resources/beta/environments/work";
import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../http/testing.ts";
import { enqueueWork, stopWork } from "./enqueue.ts";

let server: TestServer;
let sdk: Anthropic;
/** With the key of a worker. */
let worker: Anthropic;
let environmentId: string;

const connect = (apiKey: string) =>
  new Anthropic({ baseURL: server.listener.url, apiKey: null, authToken: apiKey, maxRetries: 0 });

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());
beforeEach(async () => {
  sdk = connect((await server.newOrganization()).apiKey);
  const environment = await sdk.beta.environments.create({ name: "w", config: { type: "self_hosted" } });
  environmentId = environment.id;
  worker = connect((await newKey(environmentId)).key);
  server.woken.length = 0;
});

function newKey(environment: string): Promise<{ id: string; key: string }> {
  return sdk.post(`/v1/x/environments/${environment}/keys`, { body: { name: "laptop" } });
}

/** A session with work in the queue. */
async function newWork(): Promise<string> {
  const agent = await sdk.beta.agents.create({ name: "a", model: "m" });
  const session = await sdk.beta.sessions.create({ agent: agent.id, environment_id: environmentId });
  await enqueue(session.id);
  return session.id;
}

function enqueue(sessionId: string): Promise<void> {
  return server.test.database
    .transaction()
    .execute((transaction) => enqueueWork(transaction, server.notices, sessionId));
}

async function codeOf(request: Promise<unknown>): Promise<string | null | undefined> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof APIError ? error.errorCode : `no API error: ${String(error)}`;
}

async function poll(client = worker, options: Anthropic.Beta.Environments.WorkPollParams = {}) {
  return client.beta.environments.work.poll(environmentId, options);
}

async function take(client = worker) {
  const item = await poll(client);
  if (item === null) throw new Error("there is no work");
  const text = Buffer.from(item.secret ?? "", "base64url").toString("utf8");
  const secret = JSON.parse(text) as { sessions_token: string; api_base_url: string };
  return { item, token: connect(secret.sessions_token), secret, address: { environment_id: environmentId } };
}

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

test("a worker's key opens its queue and nothing else, and a token its session and nothing else", async () => {
  const [sessionId, otherSession] = [await newWork(), await newWork()];
  const { item, token, address } = await take();
  const other = await sdk.beta.environments.create({ name: "o", config: { type: "self_hosted" } });
  const forbidden = await Promise.all(
    [
      worker.beta.environments.work.poll(other.id),
      worker.beta.environments.work.list(environmentId),
      worker.beta.environments.retrieve(environmentId),
      worker.beta.sessions.retrieve(sessionId),
      worker.beta.sessions.events.list(sessionId),
      worker.beta.agents.list(),
      worker.post(`/v1/x/environments/${environmentId}/keys`, { body: { name: "more" } }),
      token.beta.environments.work.poll(environmentId),
      token.beta.environments.work.ack(item.id, address),
      token.beta.sessions.retrieve(otherSession),
      token.beta.sessions.list(),
      token.beta.sessions.update(sessionId, { title: "mine" }),
      token.beta.sessions.archive(sessionId),
      token.beta.agents.list(),
      token.beta.sessions.events.send(sessionId, {
        events: [{ type: "user.message", content: [{ type: "text", text: "Do more." }] }],
      }),
      token.beta.sessions.events.send(sessionId, {
        events: [{ type: "user.tool_confirmation", tool_use_id: "sevt_1", result: "allow" }],
      }),
    ].map((request) => codeOf(Promise.resolve(request))),
  );
  expect(new Set(forbidden)).toEqual(new Set(["forbidden"]));
  expect((await token.beta.sessions.retrieve(sessionId)).id).toBe(sessionId);
  expect((await token.beta.sessions.events.list(sessionId, { limit: 1000 })).data).toEqual([]);
  const stranger = connect((await server.newOrganization()).apiKey);
  expect(await codeOf(stranger.beta.environments.work.poll(environmentId))).toBe("not_found");
  expect(await codeOf(stranger.beta.environments.work.retrieve(item.id, address))).toBe("not_found");
});

test("keys of an environment are listed without their text, and revoked", async () => {
  const { id, key } = await newKey(environmentId);
  const path = `/v1/x/environments/${environmentId}/keys`;
  const listed: { data: { id: string }[] } = await sdk.get(path);
  expect(listed.data.map((entry) => entry.id)).toContain(id);
  expect(JSON.stringify(listed)).not.toContain(key);
  await sdk.delete(`${path}/${id}`);
  expect(await codeOf(poll(connect(key)))).toBe("unauthenticated");
  expect(await codeOf(sdk.delete(`${path}/${id}`))).toBe("not_found");
  const cloud = await sdk.beta.environments.create({ name: "cloud" });
  expect(await codeOf(newKey(cloud.id))).toBe("invalid_request");
  expect(await codeOf(sdk.beta.environments.work.poll(cloud.id))).toBe("invalid_request");
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

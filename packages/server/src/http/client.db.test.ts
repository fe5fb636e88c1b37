import Anthropic from "@anthropic-ai/sdk";
import { createClient } from "@exoloop/client/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Principal } from "../sessions/port.ts";
import { appendMessage, startTestServer, type TestServer } from "./testing.ts";

let server: TestServer;
let sdk: Anthropic;
let apiKey: string;
let principal: Principal;
let agent: string;
let environment: string;

beforeAll(async () => {
  server = await startTestServer();
  ({ apiKey, principal } = await server.newOrganization());
  sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  agent = (await sdk.beta.agents.create({ name: "a", model: "m" })).id;
  environment = (await sdk.beta.environments.create({ name: "e" })).id;
});
afterAll(() => server.stop());

const newSession = async () => (await sdk.beta.sessions.create({ agent, environment_id: environment })).id;

test("our client follows over cut connections, also one that was cut before its first event: every event once, in order", async () => {
  const sessionId = await newSession();
  let connections = 0;
  const cutting: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (response.body === null || !response.ok) return response;
    connections += 1;
    // The first breaks right after its opening: the client knows no event, only where it began.
    let bytes = connections === 1 ? 1 : 300 + connections * 41;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(connections === 1 ? chunk : chunk.subarray(0, Math.max(bytes, 0)));
        bytes -= chunk.length;
        if (bytes <= 0) controller.error(new Error("cut"));
      },
    });
    return new Response(response.body.pipeThrough(cut), { status: response.status, headers: response.headers });
  };
  const client = createClient({ baseUrl: server.listener.url, apiKey, fetch: cutting });
  const opened = Promise.withResolvers<void>();
  const seen: string[] = [];
  const following = (async () => {
    for await (const item of client.events.stream(sessionId, { onOpen: opened.resolve }))
      if ("id" in item) seen.push(item.id);
  })();
  await opened.promise;
  for (let index = 0; index < 12; index += 1) await appendMessage(server, sessionId, `message ${index}`);
  await sdk.beta.sessions.archive(sessionId);
  await following;
  const all = await server.sessions.events(principal, sessionId, { order: "asc", limit: 1000 });
  expect(seen).toEqual(all.map((event) => event.id));
  expect(connections).toBeGreaterThan(2);
});

test("our client gives up at once where the server refuses, and ends quietly when told to", async () => {
  const client = createClient({ baseUrl: server.listener.url, apiKey });
  const refused = client.events.stream("sesn_none").next();
  await expect(refused).rejects.toMatchObject({
    name: "ApiError",
    status: 404,
    code: "not_found",
    hint: expect.any(String),
    requestId: expect.stringMatching(/^req_/),
  });
  const controller = new AbortController();
  const items: unknown[] = [];
  for await (const item of client.events.stream(await newSession(), {
    signal: controller.signal,
    onOpen: () => controller.abort(),
  }))
    items.push(item);
  expect(items).toEqual([]);
});

test("the SDK streams first and reads history afterwards: together every event once", async () => {
  const sessionId = await newSession();
  await appendMessage(server, sessionId, "before");
  const stream = await sdk.beta.sessions.events.stream(sessionId);
  const sent = await sdk.beta.sessions.events.send(sessionId, {
    events: [{ type: "user.message", content: [{ type: "text", text: "hi" }] }],
  });
  expect(sent.data).toMatchObject([{ type: "user.message", processed_at: null, id: expect.stringMatching(/^sevt_/) }]);
  expect(server.woken).toContain(sessionId);
  const ids = new Set<string>();
  for await (const event of sdk.beta.sessions.events.list(sessionId, { limit: 1 })) ids.add(event.id);
  for await (const event of stream) {
    if ("id" in event) ids.add(event.id);
    if (event.type === "user.message") break;
  }
  const all = await server.sessions.events(principal, sessionId, { order: "asc", limit: 1000 });
  expect([...ids].sort()).toEqual(all.map((event) => event.id).sort());
});

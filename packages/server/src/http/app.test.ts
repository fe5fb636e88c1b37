/** What the app does before anything behind it is asked. @module */
import { expect, test } from "vitest";
import { createApp } from "./app.ts";
import {
  agents,
  app,
  deploymentRuns,
  deployments,
  environments,
  get,
  key,
  log,
  logged,
  sessions,
  silent,
  threads,
} from "./testing-refusals.ts";

test("a fault is logged with its request id, and the caller sees no more than that", async () => {
  const response = await get("/v1/agents/agent_1");
  const text = await response.text();
  expect(response.status).toBe(500);
  expect(text).toContain('"code":"internal"');
  expect(text).not.toContain("secret");
  expect(logged.at(-1)).toMatchObject({ request: response.headers.get("request-id"), error: expect.any(Error) });
});

test("a body that declares too much is refused unread", async () => {
  let pulled = 0;
  const body = new ReadableStream({ pull: (controller) => (pulled++, controller.enqueue(new Uint8Array(65_536))) });
  const headers = { ...key, "content-type": "application/json" };
  const declared = new Request("http://exoloop/v1/agents", {
    method: "POST",
    body,
    headers: { ...headers, "content-length": "2000000" },
    duplex: "half",
  } as RequestInit);
  expect((await app.request(declared)).status).toBe(413);
  expect(pulled).toBeLessThanOrEqual(1);
});

test("a body without a declared length is read no further than the limit", async () => {
  let sent = 0;
  let cancelled = false;
  const body = new ReadableStream({
    pull(controller) {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536).fill(32));
    },
    cancel: () => void (cancelled = true),
  });
  const request = new Request("http://exoloop/v1/agents", {
    method: "POST",
    body,
    headers: { ...key, "content-type": "application/json" },
    duplex: "half",
  } as RequestInit);
  const response = await app.request(request);
  expect(response.status).toBe(413);
  expect(response.headers.get("connection")).toBe("close");
  expect(cancelled).toBe(true);
  expect(sent).toBeLessThan(2 * 1024 * 1024);
});

test("either header carries the key, and no beta header is asked for", async () => {
  expect((await app.request("/v1/models", { headers: { "x-api-key": "good" } })).status).toBe(200);
  expect((await get("/v1/models?beta=true&limit=1000")).status).toBe(200);
  const answer: unknown = await (await get("/v1/models")).json();
  expect(answer).toMatchObject({
    data: [{ id: "scripted", type: "model", capabilities: null }],
    has_more: false,
    first_id: "scripted",
  });
});

test("health needs no key; readiness asks the database", async () => {
  expect((await app.request("/health")).status).toBe(200);
  expect(await (await app.request("/ready")).json()).toEqual({ status: "ready" });
  const broken = createApp({
    sessions,
    threads,
    agents,
    environments,
    deployments,
    deploymentRuns,
    authenticate: async () => null,
    once: (_principal, _request, handle) => handle(),
    notices: { publish: silent, subscribe: () => silent },
    health: { ready: () => Promise.reject(new Error("down")) },
    log,
  });
  expect((await broken.app.request("/ready")).status).toBe(503);
});

test("the description is OpenAPI 3.1, complete, and tells optional from required", async () => {
  const text = await (await app.request("/openapi.json")).text();
  const document: unknown = JSON.parse(text);
  expect(document).toMatchObject({
    openapi: "3.1.0",
    paths: {
      "/v1/agents": { post: { requestBody: { required: true } } },
      "/v1/sessions/{session_id}/events/stream": { get: {} },
    },
    components: { schemas: { CreateAgentRequest: { required: ["name", "model"], additionalProperties: false } } },
  });
  for (const [, reference] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
    expect(document).toHaveProperty(["components", "schemas", reference ?? ""]);
  }
  expect(text).not.toContain("#/definitions/");
});

test("a database that is away is told as such, and invites a retry", async () => {
  const away = Object.assign(new Error("the database system is starting up"), { code: "57P03" });
  const { app: waiting } = createApp({
    sessions,
    threads,
    agents: { ...agents, get: () => Promise.reject(away) },
    environments,
    deployments,
    deploymentRuns,
    authenticate: async () => ({ organizationId: "org_1", apiKeyId: "key_1", scopes: ["admin"] }),
    once: (_principal, _request, handle) => handle(),
    notices: { publish: silent, subscribe: () => silent },
    health: { ready: () => Promise.resolve() },
    log,
  });
  const response = await waiting.request("/v1/agents/agent_1", { headers: key });
  expect(response.status).toBe(503);
  expect(await response.json()).toMatchObject({ error: { code: "database_unavailable" } });
});

/** Sessions and their history over the wire, through the official SDK. */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { session as sessionSchema } from "@exoloop/protocol/sessions";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestServer, appendMessage, startTestServer } from "./testing.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

async function newCaller() {
  const { apiKey, principal } = await server.newOrganization();
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  const agent = await sdk.beta.agents.create({ name: "a", model: "m", metadata: { not: "shown" } });
  const environment = await sdk.beta.environments.create({ name: "e" });
  const create = (more: Partial<Anthropic.Beta.SessionCreateParams> = {}) =>
    sdk.beta.sessions.create({ agent: agent.id, environment_id: environment.id, ...more });
  return { sdk, apiKey, principal, agent, environment, create };
}

async function codeOf(request: Promise<unknown>): Promise<string | null | undefined> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof APIError ? error.errorCode : `no API error: ${String(error)}`;
}

const say = (text: string) => ({ type: "user.message" as const, content: [{ type: "text" as const, text }] });

test("a session has every member of its type, null where there is nothing", async () => {
  const { sdk, agent, create } = await newCaller();
  const created = await create({ title: "T", metadata: { a: "b" }, initial_events: [say("hi")] });
  expect(created).toMatchObject({
    type: "session",
    title: "T",
    metadata: { a: "b" },
    agent: { type: "agent", id: agent.id, version: 1, skills: [], tools: [], mcp_servers: [], multiagent: null },
    resources: [],
    vault_ids: [],
    outcome_evaluations: [],
    budget: null,
    archived_at: null,
    deployment_id: null,
    usage: { input_tokens: 0, output_tokens: 0 },
  });
  expect(created.agent).not.toHaveProperty("metadata");
  expect(sessionSchema.safeParse(await sdk.beta.sessions.retrieve(created.id)).error).toBeUndefined();
  expect(server.woken).toContain(created.id);
  expect((await sdk.beta.sessions.events.list(created.id)).data).toMatchObject([{ ...say("hi"), processed_at: null }]);
});

test("a session keeps the version it was made with, or the one it asks for, with its overrides", async () => {
  const { sdk, agent, environment, create } = await newCaller();
  const first = await create();
  await sdk.beta.agents.update(agent.id, { system: "second" });
  expect((await sdk.beta.sessions.retrieve(first.id)).agent).toMatchObject({ version: 1, system: null });
  expect((await create()).agent).toMatchObject({ version: 2, system: "second" });
  expect((await create({ agent: { type: "agent", id: agent.id, version: 1 } })).agent.version).toBe(1);
  const overridden = await create({
    agent: {
      type: "agent_with_overrides",
      id: agent.id,
      system: null,
      model: "other",
      tools: [{ type: "agent_toolset_20260401" }],
    },
  });
  expect(overridden.agent).toMatchObject({
    version: 2,
    system: null,
    model: { id: "other" },
    tools: [{ configs: [] }],
  });
  await sdk.beta.agents.archive(agent.id);
  expect(await codeOf(create())).toBe("agent_archived");
  await sdk.beta.environments.archive(environment.id);
  expect(await codeOf(create())).toMatch(/_archived$/);
});

test("lists go forth and back, filter, and never show another organization's", async () => {
  const { sdk, agent, create } = await newCaller();
  const stranger = await newCaller();
  await stranger.create();
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) ids.unshift((await create({ title: `${index}` })).id);
  const idsOf = (page: { data: { id: string }[] }) => page.data.map((one) => one.id);
  const first = await sdk.beta.sessions.list({ limit: 2 });
  expect(idsOf(first)).toEqual(ids.slice(0, 2));
  expect(first.prev_page).toBeNull();
  const second = await sdk.beta.sessions.list({ limit: 2, page: String(first.next_page) });
  expect(idsOf(second)).toEqual(ids.slice(2, 4));
  expect(idsOf(await sdk.beta.sessions.list({ limit: 2, page: String(second.prev_page) }))).toEqual(ids.slice(0, 2));
  const third = await sdk.beta.sessions.list({ limit: 2, page: String(second.next_page) });
  expect(idsOf(third)).toEqual(ids.slice(4));
  expect(third.next_page).toBeNull();
  const all: string[] = [];
  for await (const one of sdk.beta.sessions.list({ limit: 2, order: "asc", statuses: ["idle"], agent_id: agent.id }))
    all.push(one.id);
  expect(all).toEqual([...ids].reverse());
  expect(idsOf(await sdk.beta.sessions.list({ statuses: ["running", "terminated"] }))).toEqual([]);
  expect(idsOf(await sdk.beta.sessions.list({ agent_id: stranger.agent.id }))).toEqual([]);
  expect(idsOf(await sdk.beta.sessions.list({ "created_at[lt]": "2001-01-01T00:00:00Z" }))).toEqual([]);
  expect(idsOf(await sdk.beta.sessions.list({ deployment_id: "depl_1" }))).toEqual([]);
  expect(await codeOf(stranger.sdk.beta.sessions.list({ page: String(first.next_page) }))).toBe("invalid_cursor");
});

test("another organization's session does not exist, in any method", async () => {
  const { sdk, agent, create } = await newCaller();
  const { id } = await create({ title: "mine" });
  const { sdk: stranger, environment } = await newCaller();
  const attempts = [
    stranger.beta.sessions.retrieve(id),
    stranger.beta.sessions.update(id, { title: "yours" }),
    stranger.beta.sessions.archive(id),
    stranger.beta.sessions.delete(id),
    stranger.beta.sessions.events.list(id),
    stranger.beta.sessions.events.send(id, { events: [say("hi")] }),
    stranger.beta.sessions.events.stream(id),
    stranger.beta.sessions.create({ agent: agent.id, environment_id: environment.id }),
  ];
  expect(await Promise.all(attempts.map(codeOf))).toEqual(attempts.map(() => "not_found"));
  expect(await sdk.beta.sessions.retrieve(id)).toMatchObject({ title: "mine", archived_at: null });
  expect((await sdk.beta.sessions.events.list(id)).data).toEqual([]);
});

test("an update patches, an archived session takes no input, a deleted one is gone", async () => {
  const { sdk, create } = await newCaller();
  const { id } = await create({ metadata: { a: "1", b: "2" } });
  const updated = await sdk.beta.sessions.update(id, { title: "N", metadata: { a: null, c: "3" }, budget: null });
  expect(updated).toMatchObject({ title: "N", metadata: { b: "2", c: "3" } });
  expect((await sdk.beta.sessions.archive(id)).archived_at).not.toBeNull();
  expect(await codeOf(sdk.beta.sessions.events.send(id, { events: [say("hi")] }))).toBe("session_archived");
  expect((await sdk.beta.sessions.list()).data).toEqual([]);
  expect((await sdk.beta.sessions.list({ include_archived: true })).data).toHaveLength(1);
  expect(await sdk.beta.sessions.delete(id)).toEqual({ id, type: "session_deleted" });
  expect(await codeOf(sdk.beta.sessions.retrieve(id))).toBe("not_found");
});

test("history is oldest first, pages to its end, filters by type, and takes a limit above ours", async () => {
  const { sdk, create } = await newCaller();
  const { id } = await create({ initial_events: [say("1")] });
  for (const text of ["2", "3", "4"]) await appendMessage(server, id, text, { record: true });
  const texts = async (parameters: Anthropic.Beta.Sessions.EventListParams) => {
    const found: string[] = [];
    for await (const event of sdk.beta.sessions.events.list(id, parameters)) {
      if ("content" in event && event.content?.[0]?.type === "text") found.push(event.content[0].text);
    }
    return found;
  };
  expect(await texts({ limit: 1000 })).toEqual(["1", "2", "3", "4"]);
  expect(await texts({ limit: 5000 })).toEqual(["1", "2", "3", "4"]);
  expect(await texts({ limit: 1 })).toEqual(["1", "2", "3", "4"]);
  expect(await texts({ limit: 2, order: "desc" })).toEqual(["4", "3", "2", "1"]);
  expect(await texts({ limit: 1, types: ["agent.message"] })).toEqual(["2", "3", "4"]);
  const page = await sdk.beta.sessions.events.list(id, { limit: 1 });
  const { id: other } = await create();
  expect(await codeOf(sdk.beta.sessions.events.list(other, { page: String(page.next_page) }))).toBe("invalid_cursor");
});

test("a batch with one event that cannot be is refused whole", async () => {
  const { sdk, create } = await newCaller();
  const { id } = await create();
  const result = { type: "user.custom_tool_result" as const, custom_tool_use_id: "sevt_none" };
  expect(await codeOf(sdk.beta.sessions.events.send(id, { events: [say("hi"), result] }))).toBe("unknown_tool_use");
  expect((await sdk.beta.sessions.events.list(id)).data).toEqual([]);
});

test("a message says how it is to be delivered, and is shown with it; one that says nothing stays as it was sent", async () => {
  const { sdk, create } = await newCaller();
  const { id } = await create();
  const queued = { ...say("later"), x_exoloop: { delivery: "queue" } };
  const sent = await sdk.beta.sessions.events.send(id, { events: [queued, say("now")] });
  expect(sent.data).toMatchObject([queued, say("now")]);
  const [first, second] = (await sdk.beta.sessions.events.list(id)).data;
  expect(first).toMatchObject(queued);
  expect(second).not.toHaveProperty("x_exoloop");
});

import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type TestServer, startTestServer } from "../http/testing.ts";

let server: TestServer;
let sdk: Anthropic;
let stranger: Anthropic;

beforeAll(async () => {
  server = await startTestServer();
  const connect = async () =>
    new Anthropic({ baseURL: server.listener.url, apiKey: (await server.newOrganization()).apiKey, maxRetries: 0 });
  [sdk, stranger] = [await connect(), await connect()];
});
afterAll(() => server.stop());

async function problemOf(
  request: Promise<unknown>,
): Promise<{ status: number | undefined; code: string | null | undefined }> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof APIError)) throw new Error(`expected an API error, got ${String(error)}`);
  return { status: error.status, code: error.errorCode };
}

test("an agent is created, with every default resolved, and read back", async () => {
  const created = await sdk.beta.agents.create({
    name: "Coder",
    model: { id: "scripted", effort: "high" },
    system: "Work well.",
    tools: [
      {
        type: "agent_toolset_20260401",
        configs: [
          { name: "bash", permission_policy: { type: "always_ask" } },
          { name: "web_fetch", enabled: false, url_sources: { user_input: "all" } },
        ],
      },
      { type: "mcp_toolset", mcp_server_name: "wiki" },
      {
        type: "custom",
        name: "lookup",
        description: "Looks up.",
        input_schema: { type: "object", properties: { q: { type: "string" } }, additionalProperties: false },
      },
    ],
    mcp_servers: [{ type: "url", name: "wiki", url: "https://wiki.example.com/mcp" }],
    metadata: { team: "a" },
  });
  const allow = { enabled: true, permission_policy: { type: "always_allow" } };
  const ask = { enabled: true, permission_policy: { type: "always_ask" } };
  expect(created).toMatchObject({
    type: "agent",
    version: 1,
    name: "Coder",
    model: { id: "scripted", effort: { type: "high" } },
    description: null,
    multiagent: null,
    archived_at: null,
    skills: [],
    execution_identity: { type: "service_account" },
    tools: [
      {
        type: "agent_toolset_20260401",
        default_config: allow,
        configs: [
          { name: "bash", type: "bash", ...ask },
          {
            name: "web_fetch",
            type: "web_fetch",
            ...allow,
            enabled: false,
            url_sources: { user_input: { type: "all" }, client_tool_results: null, server_tool_results: null },
          },
        ],
      },
      { type: "mcp_toolset", mcp_server_name: "wiki", default_config: ask, configs: [] },
      { type: "custom", name: "lookup", input_schema: { additionalProperties: false } },
    ],
  });
  expect(created.id).toMatch(/^agent_/);
  expect(await sdk.beta.agents.retrieve(created.id)).toEqual(created);
});

test("an update adds a version; omitted stays, null clears, metadata is patched, old versions stay", async () => {
  const { id } = await sdk.beta.agents.create({
    name: "A",
    model: { id: "m", effort: "low", speed: "fast" },
    system: "s",
    metadata: { a: "1", b: "2" },
  });
  const second = await sdk.beta.agents.update(id, {
    version: 1,
    system: null,
    model: { id: "n" },
    metadata: { a: null, c: "3" },
  });
  expect(second).toMatchObject({
    version: 2,
    name: "A",
    system: null,
    metadata: { b: "2", c: "3" },
    model: { id: "n", effort: { type: "low" } },
  });
  expect(second.model.speed).toBeUndefined();
  expect(await sdk.beta.agents.retrieve(id, { version: 1 })).toMatchObject({ version: 1, system: "s" });
  expect((await sdk.beta.agents.update(id, { name: "A" })).version).toBe(2);
  await sdk.beta.agents.update(id, { name: "B" });
  const versions: number[] = [];
  for await (const agent of sdk.beta.agents.versions.list(id, { limit: 1 })) versions.push(agent.version);
  expect(versions).toEqual([3, 2, 1]);
});

test("a stale version is a final conflict, and of two writers one wins", async () => {
  const { id } = await sdk.beta.agents.create({ name: "A", model: "m" });
  await sdk.beta.agents.update(id, { name: "B", version: 1 });
  expect(await problemOf(sdk.beta.agents.update(id, { name: "C", version: 1 }))).toEqual({
    status: 409,
    code: "version_conflict",
  });
  const conflict = await fetch(`${server.listener.url}/v1/agents/${id}`, {
    method: "POST",
    headers: { authorization: `Bearer ${sdk.apiKey}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "C", version: 1 }),
  });
  expect(conflict.headers.get("x-should-retry")).toBe("false");
  const { database } = server.test;
  // Both writers are in the middle of it before either can go on.
  const writers = await database.transaction().execute(async (transaction) => {
    await transaction.selectFrom("agents").select("id").where("id", "=", id).forUpdate().execute();
    const started = ["X", "Y"].map((name) => sdk.beta.agents.update(id, { name, version: 2 }));
    const waiting = sql<{ count: number }>`
      select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await vi.waitUntil(async () => (await waiting.execute(database)).rows[0]?.count === 2, { timeout: 5_000 });
    return started.map((writer) =>
      writer.then(
        () => "won",
        (error: unknown) => (error instanceof APIError ? error.errorCode : error),
      ),
    );
  });
  expect(new Set(await Promise.all(writers))).toEqual(new Set(["version_conflict", "won"]));
  expect((await sdk.beta.agents.retrieve(id)).version).toBe(3);
});

test("lists go through every page once, newest first, also where many were created in the same instant", async () => {
  const { apiKey, principal } = await server.newOrganization();
  const mine = new Anthropic({ baseURL: server.listener.url, apiKey });
  await Promise.all(
    Array.from({ length: 23 }, (_, index) => mine.beta.agents.create({ name: `n${index}`, model: "m" })),
  );
  // Microseconds apart, and some not even that.
  await server.test.database.transaction().execute(async (transaction) => {
    const rows = await transaction
      .selectFrom("agents")
      .select("id")
      .where("organization_id", "=", principal.organizationId)
      .orderBy("id")
      .execute();
    for (const [index, row] of rows.entries()) {
      const at = `2030-01-01T00:00:00.00000${Math.floor(index / 4)}Z`;
      await transaction
        .updateTable("agents")
        .set({ created_at: new Date(0) })
        .where("id", "=", row.id)
        .execute();
      await transaction
        .updateTable("agents")
        .set((expression) => ({ created_at: expression.cast<Date>(expression.val(at), "timestamptz") }))
        .where("id", "=", row.id)
        .execute();
    }
  });
  const expected = await server.test.database
    .selectFrom("agents")
    .select("id")
    .where("organization_id", "=", principal.organizationId)
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .execute();
  for (const limit of [1, 2, 5, 100]) {
    const ids: string[] = [];
    for await (const agent of mine.beta.agents.list({ limit })) ids.push(agent.id);
    expect(ids).toEqual(expected.map((row) => row.id));
  }
});

test("archived agents leave the list and take no changes; archiving twice is the same", async () => {
  const { apiKey } = await server.newOrganization();
  const mine = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  const { id } = await mine.beta.agents.create({ name: "A", model: "m" });
  const archived = await mine.beta.agents.archive(id);
  expect(archived.archived_at).not.toBeNull();
  expect((await mine.beta.agents.archive(id)).archived_at).toBe(archived.archived_at);
  expect((await mine.beta.agents.list()).data).toEqual([]);
  expect((await mine.beta.agents.list({ include_archived: true })).data).toHaveLength(1);
  expect(await problemOf(mine.beta.agents.update(id, { name: "B" }))).toEqual({ status: 400, code: "agent_archived" });
});

test("another organization's agent does not exist, for reading, changing, archiving and paging", async () => {
  const { id } = await sdk.beta.agents.create({ name: "Mine", model: "m" });
  const notFound = { status: 404, code: "not_found" };
  expect(await problemOf(stranger.beta.agents.retrieve(id))).toEqual(notFound);
  expect(await problemOf(stranger.beta.agents.update(id, { name: "Yours" }))).toEqual(notFound);
  expect(await problemOf(stranger.beta.agents.archive(id))).toEqual(notFound);
  expect(await problemOf(stranger.beta.agents.versions.list(id))).toEqual(notFound);
  expect(await problemOf(sdk.beta.agents.retrieve(id, { version: 9 }))).toEqual(notFound);
  expect(await problemOf(sdk.beta.agents.retrieve("agent_none"))).toEqual(notFound);
  const { next_page } = await sdk.beta.agents.list({ limit: 1 });
  expect(await problemOf(stranger.beta.agents.list({ page: String(next_page) }))).toEqual({
    status: 400,
    code: "invalid_cursor",
  });
  expect(await sdk.beta.agents.retrieve(id)).toMatchObject({ name: "Mine", version: 1, archived_at: null });
});

const base = { name: "A", model: "m" };
const mcp = { type: "url" as const, name: "wiki", url: "https://example.com" };
test.each([
  ["a server that no toolset uses", { ...base, mcp_servers: [mcp] }, "invalid_request"],
  [
    "a toolset without a server",
    { ...base, tools: [{ type: "mcp_toolset" as const, mcp_server_name: "wiki" }] },
    "invalid_request",
  ],
  [
    "two servers of one name",
    { ...base, mcp_servers: [mcp, mcp], tools: [{ type: "mcp_toolset" as const, mcp_server_name: "wiki" }] },
    "invalid_request",
  ],
  [
    "two toolsets",
    { ...base, tools: [{ type: "agent_toolset_20260401" as const }, { type: "agent_toolset_20260401" as const }] },
    "invalid_request",
  ],
  [
    "a custom tool with the name of a built-in one",
    {
      ...base,
      tools: [
        { type: "agent_toolset_20260401" as const },
        { type: "custom" as const, name: "bash", description: "", input_schema: { type: "object" as const } },
      ],
    },
    "invalid_request",
  ],
  [
    "a role of a cloud",
    { ...base, execution_identity: { type: "aws_role" as const, role_arn: "arn:x" } },
    "unsupported",
  ],
  [
    "an advisor",
    { ...base, multiagent: { type: "coordinator" as const, agents: [{ type: "advisor" as const, model: "m" }] } },
    "unsupported",
  ],
  [
    "an unknown agent that would be given work",
    { ...base, multiagent: { type: "coordinator" as const, agents: ["agent_1"] } },
    "invalid_request",
  ],
  [
    "workflows",
    { ...base, multiagent: { type: "multiagent_20261001" as const, workflows: { type: "enabled" as const } } },
    "unsupported",
  ],
  [
    "sub-agents without an agent",
    { ...base, multiagent: { type: "multiagent_20261001" as const, subagents: { type: "enabled" as const } } },
    "invalid_request",
  ],
])("%s is refused and stores nothing", async (_name, request, code) => {
  const { apiKey } = await server.newOrganization();
  const mine = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  expect(await problemOf(mine.beta.agents.create(request))).toEqual({ status: 400, code });
  expect((await mine.beta.agents.list()).data).toEqual([]);
});

test("a key for sessions reads agents and changes none", async () => {
  const { apiKey } = await server.newOrganization(["sessions"]);
  const mine = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  expect((await mine.beta.agents.list()).data).toEqual([]);
  expect(await problemOf(mine.beta.agents.create(base))).toEqual({ status: 403, code: "forbidden" });
});

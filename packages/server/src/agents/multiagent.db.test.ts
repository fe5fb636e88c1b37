/** Agents that give work to others, and fallback models: what is stored, answered and refused. */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import type { AgentCreateParams } from "@anthropic-ai/sdk/resources/beta/agents/agents";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestServer, startTestServer } from "../http/testing.ts";

let server: TestServer;
let sdk: Anthropic;

beforeAll(async () => {
  server = await startTestServer();
  sdk = new Anthropic({ baseURL: server.listener.url, apiKey: (await server.newOrganization()).apiKey, maxRetries: 0 });
});
afterAll(() => server.stop());

const disabled = { type: "disabled" };
const newAgent = (more: Partial<AgentCreateParams> & { x_exoloop?: object } = {}) =>
  sdk.beta.agents.create({ name: "a", model: "scripted", ...more });
const coordinator = (agents: readonly unknown[]) =>
  ({ type: "coordinator", agents }) as NonNullable<AgentCreateParams["multiagent"]>;
const members = (more: object) =>
  ({ type: "multiagent_20261001", ...more }) as NonNullable<AgentCreateParams["multiagent"]>;

async function problemOf(request: PromiseLike<unknown>): Promise<string> {
  const error: unknown = await Promise.resolve(request).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof APIError)) throw new Error(`expected an API error, got ${String(error)}`);
  return `${error.status} ${error.errorCode}: ${error.apiMessage}`;
}

test("a roster is answered with versions, as they were", async () => {
  const [one, two] = [await newAgent({ name: "one" }), await newAgent({ name: "two" })];
  await sdk.beta.agents.update(two.id, { system: "Later." });
  const lead = await newAgent({
    multiagent: coordinator([one.id, { type: "agent", id: two.id, version: 1 }, { type: "self" }]),
  });
  const roster = [
    { type: "agent", id: one.id, version: 1 },
    { type: "agent", id: two.id, version: 1 },
    { type: "agent", id: lead.id, version: 1 },
  ];
  expect(lead.multiagent).toEqual({ type: "coordinator", agents: roster });
  await sdk.beta.agents.update(one.id, { system: "Later." });
  expect((await sdk.beta.agents.retrieve(lead.id)).multiagent).toEqual(lead.multiagent);
  // The agent that names itself names its own version, and the same request changes nothing.
  const renamed = await sdk.beta.agents.update(lead.id, { name: "b" });
  const own = { type: "agent", id: lead.id, version: 2 };
  expect(renamed.multiagent).toEqual({ type: "coordinator", agents: [roster[0], roster[1], own] });
  const same = coordinator([{ type: "agent", id: one.id, version: 1 }, { ...roster[1] }, { type: "self" }]);
  expect((await sdk.beta.agents.update(lead.id, { multiagent: same })).version).toBe(2);
  expect((await sdk.beta.agents.update(lead.id, { multiagent: null })).multiagent).toBeNull();
});

test("what this server does not serve is answered as disabled, and an update merges", async () => {
  const helper = await newAgent();
  expect((await newAgent({ multiagent: members({}) })).multiagent).toEqual({
    ...members({}),
    advisor: disabled,
    subagents: disabled,
    workflows: disabled,
  });
  const lead = await newAgent({
    multiagent: members({ subagents: { type: "enabled", predefined_agents: [helper.id] }, workflows: null }),
  });
  const resolved = {
    ...members({}),
    advisor: disabled,
    workflows: disabled,
    subagents: {
      type: "enabled",
      inline_agents: disabled,
      predefined_agents: [{ type: "agent", id: helper.id, version: 1 }],
    },
  };
  expect(lead.multiagent).toEqual(resolved);
  const kept = await sdk.beta.agents.update(lead.id, { multiagent: members({ advisor: disabled }) });
  expect([kept.version, kept.multiagent]).toEqual([1, resolved]);
  const off = await sdk.beta.agents.update(lead.id, { multiagent: members({ subagents: disabled }) });
  expect(off.multiagent).toMatchObject({ subagents: disabled });
});

test("a session keeps the definitions of those that its agent may give work to", async () => {
  const helper = await newAgent({ name: "helper", system: "First." });
  const lead = await newAgent({ multiagent: coordinator([helper.id]) });
  await sdk.beta.agents.update(helper.id, { system: "Second." });
  const environment = await sdk.beta.environments.create({ name: "e" });
  const { agent } = await sdk.beta.sessions.create({ agent: lead.id, environment_id: environment.id });
  expect(agent.multiagent).toMatchObject({
    type: "coordinator",
    agents: [{ type: "agent", id: helper.id, version: 1, name: "helper", system: "First." }],
  });
  expect(JSON.stringify(agent.multiagent)).not.toContain('"multiagent"');
  const members20 = await newAgent({
    multiagent: members({ subagents: { type: "enabled", predefined_agents: [helper.id] } }),
  });
  const other = await sdk.beta.sessions.create({ agent: members20.id, environment_id: environment.id });
  expect(other.agent.multiagent).toMatchObject({
    subagents: { predefined_agents: [{ id: helper.id, version: 2, system: "Second." }] },
  });
});

test("fallback models are kept, changed and cleared", async () => {
  const plain = await newAgent();
  expect(plain).toMatchObject({ x_exoloop: { fallback_models: [] } });
  const agent = await newAgent({ x_exoloop: { fallback_models: ["scripted/inline"] } });
  expect(agent).toMatchObject({ x_exoloop: { fallback_models: ["scripted/inline"] } });
  const update = (x_exoloop: object | null) => sdk.beta.agents.update(agent.id, { x_exoloop } as { version?: number });
  expect(await update({})).toMatchObject({ version: 1 });
  expect(await update({ fallback_models: ["a", "b"] })).toMatchObject({
    version: 2,
    x_exoloop: { fallback_models: ["a", "b"] },
  });
  expect(await update(null)).toMatchObject({ version: 3, x_exoloop: { fallback_models: [] } });
  const nine = { x_exoloop: { fallback_models: Array(9).fill("m") } };
  expect(await problemOf(newAgent(nine))).toMatch(/^400 invalid_request: x_exoloop.fallback_models/);
  expect(await problemOf(newAgent({ x_exoloop: { colour: "red" } }))).toMatch(
    /x_exoloop.colour: there is no such field/,
  );
});

test("a roster with something wrong in it is one error and stores nothing", async () => {
  const helper = await newAgent();
  const archived = await newAgent();
  await sdk.beta.agents.archive(archived.id);
  const lead = await newAgent({ multiagent: coordinator([helper.id]) });
  const { apiKey } = await server.newOrganization();
  const elsewhere = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  const foreign = await elsewhere.beta.agents.create({ name: "f", model: "scripted" });
  const custom = {
    type: "custom" as const,
    name: "delegate",
    description: "",
    input_schema: { type: "object" as const },
  };
  const before = (await sdk.beta.agents.list({ limit: 1000 })).data.length;
  const at = "400 invalid_request: multiagent.agents";
  const wrong: [Partial<AgentCreateParams>, string][] = [
    [{ multiagent: coordinator([]) }, at],
    [{ multiagent: coordinator(Array(21).fill(helper.id)) }, at],
    [{ multiagent: coordinator([helper.id, { type: "agent", id: helper.id }]) }, `${at}[1]: the agent`],
    [{ multiagent: coordinator([{ type: "self" }, { type: "self" }]) }, `${at}[1]: the agent`],
    [{ multiagent: coordinator(["agent_none"]) }, `${at}[0]: this agent does not exist`],
    [{ multiagent: coordinator([foreign.id]) }, `${at}[0]: this agent does not exist`],
    [
      { multiagent: coordinator([{ type: "agent", id: helper.id, version: 7 }]) },
      `${at}[0]: this agent does not exist`,
    ],
    [{ multiagent: coordinator([archived.id]) }, `${at}[0]: this agent is archived`],
    [{ multiagent: coordinator([lead.id]) }, `${at}[0]: this agent gives work to others itself`],
    [{ multiagent: coordinator([helper.id]), tools: [custom] }, "400 invalid_request: tools:"],
    [{ multiagent: members({ advisor: { type: "enabled", model: "m" } }) }, "400 unsupported: multiagent.advisor:"],
    [{ multiagent: members({ workflows: { type: "enabled" } }) }, "400 unsupported: multiagent.workflows:"],
    [
      { multiagent: members({ subagents: { type: "enabled", inline_agents: { type: "enabled" } } }) },
      "400 unsupported: multiagent.subagents.inline_agents:",
    ],
    [{ multiagent: members({ subagents: { type: "enabled" } }) }, "400 invalid_request: multiagent.subagents."],
  ];
  for (const [request, problem] of wrong) expect(await problemOf(newAgent(request))).toContain(problem);
  expect((await sdk.beta.agents.list({ limit: 1000 })).data).toHaveLength(before);
  expect(await problemOf(sdk.beta.agents.update(helper.id, { multiagent: coordinator([lead.id]) }))).toContain(at);
  expect((await sdk.beta.agents.retrieve(helper.id)).version).toBe(1);
});

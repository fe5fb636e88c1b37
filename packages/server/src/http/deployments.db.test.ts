/** Deployments and their runs over the wire, through the official SDK. */
import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { deployment as deploymentSchema, deploymentRun as runSchema } from "@exoloop/protocol/deployments";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestServer, startTestServer } from "./testing.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const say = (text: string) => ({ type: "user.message" as const, content: [{ type: "text" as const, text }] });
const nine = { type: "cron" as const, expression: "0 9 * * 1-5", timezone: "Europe/Berlin" };

async function newCaller() {
  const { apiKey, principal } = await server.newOrganization();
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  const agent = await sdk.beta.agents.create({ name: "a", model: "m" });
  const environment = await sdk.beta.environments.create({ name: "e" });
  const create = (more: Partial<Anthropic.Beta.DeploymentCreateParams> & { x_exoloop?: object } = {}) =>
    sdk.beta.deployments.create({
      name: "nightly",
      agent: agent.id,
      environment_id: environment.id,
      initial_events: [say("Go.")],
      ...more,
    });
  return { sdk, principal, agent, environment, create };
}

async function codeOf(request: Promise<unknown>): Promise<string | null | undefined> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof APIError ? error.errorCode : `no API error: ${String(error)}`;
}

test("a deployment has every member of its type; its agent is pinned", async () => {
  const { sdk, agent, environment, create } = await newCaller();
  const created = await create({ schedule: nine, metadata: { a: "b" }, x_exoloop: { overlap: "queue" } });
  expect(created).toMatchObject({
    type: "deployment",
    id: expect.stringMatching(/^depl_/),
    name: "nightly",
    description: null,
    agent: { type: "agent", id: agent.id, version: 1 },
    environment_id: environment.id,
    initial_events: [say("Go.")],
    schedule: { ...nine, last_run_at: null },
    status: "active",
    paused_reason: null,
    resources: [],
    vault_ids: [],
    budget: null,
    metadata: { a: "b" },
    archived_at: null,
    x_exoloop: { missed_runs: "run_once", overlap: "queue", queued_runs_at: [], skipped_runs: 0 },
  });
  expect(created.schedule?.upcoming_runs_at).toHaveLength(5);
  await sdk.beta.agents.update(agent.id, { system: "second" });
  const read = await sdk.beta.deployments.retrieve(created.id);
  expect(deploymentSchema.safeParse(read).error).toBeUndefined();
  expect(read.agent.version).toBe(1);
  expect((await sdk.beta.deployments.update(created.id, { agent: agent.id })).agent.version).toBe(2);
  const pinned = { type: "agent" as const, id: agent.id, version: 1 };
  expect((await sdk.beta.deployments.update(created.id, { agent: pinned })).agent.version).toBe(1);
});

test("an update keeps what it does not name, replaces, patches and clears", async () => {
  const { sdk, create } = await newCaller();
  const { id } = await create({ schedule: nine, description: "d", metadata: { a: "1", b: "2" } });
  const changed = await sdk.beta.deployments.update(id, {
    name: "weekly",
    initial_events: [say("one"), say("two")],
    metadata: { a: null, c: "3" },
  });
  expect(changed).toMatchObject({ name: "weekly", description: "d", metadata: { b: "2", c: "3" }, schedule: nine });
  expect(changed.initial_events).toHaveLength(2);
  const cleared = await sdk.beta.deployments.update(id, { schedule: null, description: "" });
  expect(cleared).toMatchObject({ schedule: null, description: null, name: "weekly" });
  const zone = { ...nine, timezone: "UTC" };
  expect((await sdk.beta.deployments.update(id, { schedule: zone })).schedule).toMatchObject(zone);
});

test("a run by hand is a session of the deployment, also while it is paused", async () => {
  const { sdk, create, agent } = await newCaller();
  const { id } = await create({ schedule: nine });
  expect(await sdk.beta.deployments.pause(id)).toMatchObject({ status: "paused", paused_reason: { type: "manual" } });
  const run = await sdk.beta.deployments.run(id);
  expect(runSchema.safeParse(run).error).toBeUndefined();
  expect(run).toMatchObject({
    type: "deployment_run",
    deployment_id: id,
    agent: { type: "agent", id: agent.id, version: 1 },
    error: null,
    trigger_context: { type: "manual" },
  });
  expect(await sdk.beta.deploymentRuns.retrieve(run.id)).toEqual(run);
  const sessionId = run.session_id ?? "";
  expect(await sdk.beta.sessions.retrieve(sessionId)).toMatchObject({ deployment_id: id, title: "nightly" });
  expect((await sdk.beta.sessions.list({ deployment_id: id })).data.map((session) => session.id)).toEqual([sessionId]);
  expect((await sdk.beta.sessions.events.list(sessionId)).data).toMatchObject([say("Go.")]);
  expect(server.woken).toContain(sessionId);
  const unpaused = await sdk.beta.deployments.unpause(id);
  expect(unpaused).toMatchObject({ status: "active", paused_reason: null, schedule: { last_run_at: null } });
});

test("what cannot be run is a run with its error; what cannot be made is refused", async () => {
  const { sdk, agent, environment, create } = await newCaller();
  const { id } = await create();
  await sdk.beta.environments.archive(environment.id);
  expect(await sdk.beta.deployments.run(id)).toMatchObject({
    session_id: null,
    error: { type: "environment_archived_error", message: expect.any(String) },
  });
  // By hand, nothing is paused.
  expect((await sdk.beta.deployments.retrieve(id)).status).toBe("active");
  expect(await codeOf(create())).toBe("environment_archived");
  expect(await codeOf(create({ environment_id: "env_none" }))).toBe("not_found");
  expect(await codeOf(sdk.beta.deployments.update(id, { environment_id: "env_none" }))).toBe("not_found");
  await sdk.beta.agents.archive(agent.id);
  expect(await codeOf(create())).toBe("agent_archived");
  expect(await codeOf(create({ agent: "agent_none" }))).toBe("not_found");
  expect(await codeOf(create({ agent: { type: "agent", id: agent.id, version: 9 } }))).toBe("not_found");
  expect((await sdk.beta.deployments.list()).data).toHaveLength(1);
});

test("an archived deployment starts nothing, and says so", async () => {
  const { sdk, create } = await newCaller();
  const { id } = await create({ schedule: nine });
  await sdk.beta.deployments.pause(id);
  const archived = await sdk.beta.deployments.archive(id);
  expect(archived).toMatchObject({ status: "active", paused_reason: null, schedule: { upcoming_runs_at: [] } });
  expect(await sdk.beta.deployments.archive(id)).toEqual(archived);
  for (const refuse of [
    () => sdk.beta.deployments.run(id),
    () => sdk.beta.deployments.pause(id),
    () => sdk.beta.deployments.unpause(id),
    () => sdk.beta.deployments.update(id, { name: "x" }),
  ]) {
    expect(await codeOf(refuse())).toBe("deployment_archived");
  }
  expect((await sdk.beta.deploymentRuns.list({ deployment_id: id })).data).toEqual([]);
});

test("lists filter, page, and show one organization", async () => {
  const { sdk, agent, create } = await newCaller();
  const ids: string[] = [];
  for (let index = 0; index < 3; index += 1) ids.unshift((await create({ name: `n${index}` })).id);
  const [third = "", second = "", first = ""] = ids;
  const idsOf = async (query: Anthropic.Beta.DeploymentListParams) =>
    (await sdk.beta.deployments.list(query)).data.map((item) => item.id);
  await sdk.beta.deployments.pause(second);
  await sdk.beta.deployments.archive(first);
  expect(await idsOf({})).toEqual([third, second]);
  expect(await idsOf({ status: "paused" })).toEqual([second]);
  expect(await idsOf({ status: "active" })).toEqual([third]);
  expect(await idsOf({ include_archived: true })).toEqual(ids);
  expect(await idsOf({ agent_id: agent.id })).toEqual([third, second]);
  expect(await idsOf({ agent_id: "agent_none" })).toEqual([]);
  expect(await idsOf({ "created_at[gte]": "2999-01-01T00:00:00Z" })).toEqual([]);
  const paged: string[] = [];
  for await (const item of sdk.beta.deployments.list({ limit: 1, include_archived: true })) paged.push(item.id);
  expect(paged).toEqual(ids);
  const run = await sdk.beta.deployments.run(third);
  await sdk.beta.deployments.run(second);
  const runIds = async (query: Anthropic.Beta.DeploymentRunListParams) =>
    (await sdk.beta.deploymentRuns.list(query)).data.map((item) => item.id);
  expect(await runIds({})).toHaveLength(2);
  expect(await runIds({ deployment_id: third, has_error: false, trigger_type: "manual" })).toEqual([run.id]);
  expect(await runIds({ has_error: true })).toEqual([]);
  expect(await runIds({ trigger_type: "schedule" })).toEqual([]);
  expect(await runIds({ deployment_id: "depl_none" })).toEqual([]);
  expect(await runIds({ "created_at[lt]": "2000-01-01T00:00:00Z" })).toEqual([]);
  const pages: string[] = [];
  for await (const item of sdk.beta.deploymentRuns.list({ limit: 1 })) pages.push(item.id);
  expect(pages).toHaveLength(2);

  const other = (await newCaller()).sdk;
  expect((await other.beta.deployments.list({ include_archived: true })).data).toEqual([]);
  expect((await other.beta.deploymentRuns.list({ deployment_id: third })).data).toEqual([]);
  expect(await codeOf(other.beta.deploymentRuns.retrieve(run.id))).toBe("not_found");
  for (const verb of ["retrieve", "archive", "pause", "unpause", "run"] as const) {
    expect(await codeOf(other.beta.deployments[verb](third))).toBe("not_found");
  }
  expect(await codeOf(other.beta.deployments.update(third, { name: "mine" }))).toBe("not_found");
});

test("a key without the scope admin runs deployments, and changes none", async () => {
  const { apiKey } = await server.newOrganization(["sessions"]);
  const sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  const { deployments } = sdk.beta;
  const body = { name: "n", agent: "agent_1", environment_id: "env_1", initial_events: [say("x")] };
  for (const refuse of [
    () => deployments.create(body),
    () => deployments.update("depl_1", { name: "x" }),
    () => deployments.archive("depl_1"),
    () => deployments.pause("depl_1"),
    () => deployments.unpause("depl_1"),
  ]) {
    expect(await codeOf(refuse())).toBe("forbidden");
  }
  expect(await codeOf(deployments.run("depl_1"))).toBe("not_found");
  expect((await deployments.list()).data).toEqual([]);
});

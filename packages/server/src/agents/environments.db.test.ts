import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { BetaEnvironmentArchivedError } from "@anthropic-ai/sdk/resources/beta/environments/environments";
import { afterAll, beforeAll, expect, test } from "vitest";
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

async function codeOf(request: Promise<unknown>): Promise<string | null | undefined> {
  const error: unknown = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  return error instanceof APIError ? error.errorCode : `no API error: ${String(error)}`;
}

test("a new environment reaches nothing and installs nothing unless asked", async () => {
  const created = await sdk.beta.environments.create({ name: "plain" });
  expect(created).toMatchObject({
    type: "environment",
    scope: "organization",
    description: null,
    metadata: {},
    archived_at: null,
    config: {
      type: "cloud",
      networking: { type: "limited", allowed_hosts: [], allow_mcp_servers: false, allow_package_managers: false },
      packages: { apt: [], cargo: [], gem: [], go: [], npm: [], pip: [] },
    },
  });
  expect(await sdk.beta.environments.retrieve(created.id)).toEqual(created);
});

test("an update keeps what it omits", async () => {
  const { id } = await sdk.beta.environments.create({
    name: "e",
    description: "d",
    metadata: { a: "1", b: "2", c: "3" },
    config: {
      type: "cloud",
      networking: { type: "limited", allowed_hosts: ["*.example.com"], allow_mcp_servers: true },
    },
  });
  const updated = await sdk.beta.environments.update(id, {
    description: null,
    metadata: { a: null, b: "" },
    config: { type: "cloud", networking: { type: "limited", allow_package_managers: true } },
  });
  expect(updated).toMatchObject({
    name: "e",
    description: null,
    metadata: { c: "3" },
    config: { networking: { allowed_hosts: ["*.example.com"], allow_mcp_servers: true, allow_package_managers: true } },
  });
  expect(Date.parse(updated.updated_at)).toBeGreaterThan(Date.parse(updated.created_at));
});

test("names the provider of its sandboxes, until it is left to the server again", async () => {
  const named = { type: "cloud", x_exoloop: { provider: "gvisor" } } as const;
  const { id, config } = await sdk.beta.environments.create({ name: "e", config: named });
  expect(config).toMatchObject({ x_exoloop: { provider: "gvisor" } });
  const kept = await sdk.beta.environments.update(id, { config: { type: "cloud" } });
  expect(kept.config).toMatchObject({ x_exoloop: { provider: "gvisor" } });
  const left = { type: "cloud", x_exoloop: { provider: null } } as const;
  expect((await sdk.beta.environments.update(id, { config: left })).config).not.toHaveProperty("x_exoloop");
  const unknown = { type: "cloud", x_exoloop: { provider: "docker" } } as const;
  expect(await codeOf(sdk.beta.environments.create({ name: "e", config: unknown }))).toBe("invalid_request");
});

test("what this server would not do is refused, and nothing is stored", async () => {
  const { apiKey } = await server.newOrganization();
  const mine = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
  const create = (config: Anthropic.Beta.EnvironmentCreateParams["config"]) =>
    codeOf(mine.beta.environments.create({ name: "e", config: config ?? null }));
  expect(await create({ type: "cloud", packages: { pip: ["numpy"] } })).toBe("unsupported");
  expect(
    await create({ type: "cloud", networking: { type: "limited", allowed_hosts: ["https://example.com/x"] } }),
  ).toBe("invalid_request");
  expect(await codeOf(mine.beta.environments.create({ name: "e", scope: "account" }))).toBe("unsupported");
  expect((await mine.beta.environments.list()).data).toEqual([]);
});

test("a self-hosted environment is stored as one, and stays one", async () => {
  const created = await sdk.beta.environments.create({ name: "mine", config: { type: "self_hosted" } });
  expect(created.config).toEqual({ type: "self_hosted" });
  const renamed = await sdk.beta.environments.update(created.id, { name: "ours", config: { type: "self_hosted" } });
  expect(renamed).toMatchObject({ name: "ours", config: { type: "self_hosted" } });
  expect(await codeOf(sdk.beta.environments.update(created.id, { config: { type: "cloud" } }))).toBe(
    "invalid_config_type_change",
  );
});

test("an archived environment is hidden and unchangeable, and its type never changes", async () => {
  const { id } = await sdk.beta.environments.create({ name: "e" });
  expect(await codeOf(sdk.beta.environments.update(id, { config: { type: "self_hosted" } }))).toBe(
    "invalid_config_type_change",
  );
  await sdk.beta.environments.archive(id);
  const error: unknown = await sdk.beta.environments.update(id, { name: "f" }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(BetaEnvironmentArchivedError);
  const listed: string[] = [];
  for await (const environment of sdk.beta.environments.list({ limit: 2 })) listed.push(environment.id);
  expect(listed).not.toContain(id);
});

test("an environment is deleted once, and never from under its sessions", async () => {
  const environment = await sdk.beta.environments.create({ name: "e" });
  const agent = await sdk.beta.agents.create({ name: "a", model: "m" });
  const session = await sdk.beta.sessions.create({ agent: agent.id, environment_id: environment.id });
  expect(await codeOf(sdk.beta.environments.delete(environment.id))).toBe("environment_in_use");
  await sdk.beta.sessions.delete(session.id);
  expect(await sdk.beta.environments.delete(environment.id)).toEqual({
    id: environment.id,
    type: "environment_deleted",
  });
  expect(await codeOf(sdk.beta.environments.delete(environment.id))).toBe("not_found");
});

test("another organization's environment does not exist", async () => {
  const { id } = await sdk.beta.environments.create({ name: "mine" });
  expect(await codeOf(stranger.beta.environments.retrieve(id))).toBe("not_found");
  expect(await codeOf(stranger.beta.environments.update(id, { name: "yours" }))).toBe("not_found");
  expect(await codeOf(stranger.beta.environments.archive(id))).toBe("not_found");
  expect(await codeOf(stranger.beta.environments.delete(id))).toBe("not_found");
  expect(await sdk.beta.environments.retrieve(id)).toMatchObject({ name: "mine", archived_at: null });
});

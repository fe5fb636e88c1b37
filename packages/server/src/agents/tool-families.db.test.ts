import Anthropic, { APIError } from "@anthropic-ai/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestServer, startTestServer } from "../http/testing.ts";

let server: TestServer;
let sdk: Anthropic;

beforeAll(async () => {
  server = await startTestServer();
  const { apiKey } = await server.newOrganization();
  sdk = new Anthropic({ baseURL: server.listener.url, apiKey, maxRetries: 0 });
});
afterAll(() => server.stop());

async function problemOf(request: Promise<unknown>): Promise<object> {
  const error: unknown = await request.catch((reason: unknown) => reason);
  if (!(error instanceof APIError)) throw new Error(`expected an API error, got ${String(error)}`);
  return { status: error.status, code: error.errorCode };
}

test("a toolset names families of tools, each once, and none of them is named like a client's own tool", async () => {
  const toolset = (...families: string[]) => ({ type: "agent_toolset_20260401" as const, x_exoloop: { families } });
  const create = (...tools: Parameters<typeof sdk.beta.agents.create>[0]["tools"] & object) =>
    sdk.beta.agents.create({ name: "Families", model: "scripted", tools });
  const created = await create(toolset("memory_20250818", "apply_patch"));
  expect(created.tools).toMatchObject([toolset("memory_20250818", "apply_patch")]);
  expect(await sdk.beta.agents.retrieve(created.id)).toMatchObject({ tools: created.tools });
  expect((await create({ type: "agent_toolset_20260401" })).tools[0]).not.toHaveProperty("x_exoloop");

  const own = {
    type: "custom" as const,
    name: "apply_patch",
    description: "",
    input_schema: { type: "object" as const },
  };
  const refused = { status: 400, code: "invalid_request" };
  expect(await problemOf(create(toolset("apply_patch"), own))).toEqual(refused);
  expect(await problemOf(create(toolset("ls", "ls")))).toEqual(refused);
  expect(await problemOf(create(toolset("emacs")))).toEqual(refused);
  expect((await create(toolset("ls"), own)).tools).toHaveLength(2);
});

test("rules about files are kept, and refused beside commands, which would not heed them", async () => {
  const rule = { action: "file.read", path: "/memory/org/hr", decision: "deny" };
  const create = (withBash: boolean, ...rules: object[]) =>
    sdk.beta.agents.create({
      name: "Rules",
      model: "scripted",
      tools: [
        {
          type: "agent_toolset_20260401" as const,
          configs: [{ name: "bash" as const, enabled: withBash }],
          ...{ x_exoloop: { file_rules: rules } },
        },
      ],
    });
  expect((await create(false, rule)).tools).toMatchObject([{ x_exoloop: { file_rules: [rule] } }]);
  const refused = { status: 400, code: "invalid_request" };
  expect(await problemOf(create(true, rule))).toEqual(refused);
  for (const path of ["memory", "/memory/../etc", "/memory//org", "/a/."])
    expect(await problemOf(create(false, { ...rule, path }))).toEqual(refused);
  expect(await problemOf(create(false, { ...rule, decision: "allow" }))).toEqual(refused);
});

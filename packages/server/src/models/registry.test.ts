import { afterEach, describe, expect, test } from "vitest";
import { compatibleModelId, parseModelName } from "./model-name.ts";
import { retryAfter } from "./model-failure.ts";
import { createModels, defaultModel, listFromDefault } from "./registry.ts";
import { collectAnswer, modelRequest } from "./testing/model-calls.ts";
import { type ModelServer, startModelServer } from "./testing/model-server.ts";

let server: ModelServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

test.each([
  ["claude-sonnet-5-5", "anthropic", "claude-sonnet-5-5"],
  ["anthropic/claude-x", "anthropic", "claude-x"],
  ["gpt-5.5", "openai", "gpt-5.5"],
  ["o3-mini", "openai", "o3-mini"],
  ["chatgpt-latest", "openai", "chatgpt-latest"],
  ["openai/other", "openai", "other"],
  ["openai-chat/gpt-5.5", "openai-chat", "gpt-5.5"],
  ["compatible/meta/llama", "compatible", "meta/llama"],
  ["scripted", "scripted", "inline"],
  ["scripted/repair", "scripted", "repair"],
])("%s is %s's %s", (name, family, id) => {
  expect(parseModelName(name)).toEqual({ family, id });
});

test.each(["", "openai/", "qwen3:8b", "meta/llama", "gpt-oss:20b", "ollama", "x".repeat(201)])(
  "%j has no known shape",
  (name) => {
    expect(parseModelName(name)).toBeNull();
  },
);

test("names without a known shape are the compatible server's", () => {
  expect(compatibleModelId("qwen3:8b")).toBe("qwen3:8b");
  expect(compatibleModelId("meta/llama")).toBe("meta/llama");
  expect(compatibleModelId("gpt-oss:20b")).toBe("gpt-oss:20b");
  expect(compatibleModelId("compatible/gpt-5.5")).toBe("gpt-5.5");
  expect(compatibleModelId("gpt-5.5")).toBeNull();
  expect(compatibleModelId("openai/")).toBeNull();
});

describe("without keys", () => {
  const models = createModels({ anthropicApiKey: "" });

  test.each([
    ["claude-sonnet-5-5", "ANTHROPIC_API_KEY"],
    ["gpt-5.5", "OPENAI_API_KEY"],
    ["openai-chat/gpt-5.5", "OPENAI_API_KEY"],
    ["compatible/qwen3", "OPENAI_BASE_URL"],
    ["qwen3", "OPENAI_BASE_URL"],
    ["scripted/none", "scripted/repair"],
  ])("%s needs %s", async (model, variable) => {
    expect(models.serves(model)).toBe(false);
    const failed = collectAnswer(models, modelRequest({ model }));
    await expect(failed).rejects.toMatchObject({ kind: "not_configured", message: expect.stringContaining(variable) });
  });

  test("the scripted model is there", async () => {
    expect(models.list().map(({ id }) => id)).toEqual(["scripted", "scripted/repair"]);
    expect((await collectAnswer(models, modelRequest({ model: "scripted" }))).text).toContain("Hello.");
  });
});

test("OpenAI's own address is no compatible server", () => {
  const models = createModels({ openaiApiKey: "k", openaiBaseUrl: "https://api.openai.com/v1" });
  expect(models.serves("gpt-5.5")).toBe(true);
  expect(models.serves("qwen3")).toBe(false);
});

test("a compatible server needs no key", async () => {
  server = await startModelServer({ script: [{ text: "Free." }], models: ["qwen3", "other"] });
  const config = { openaiBaseUrl: `${server.url}/v1` };
  const model = await defaultModel(config);
  expect(model).toBe("compatible/qwen3");
  expect((await collectAnswer(createModels(config), modelRequest({ model: "qwen3" }))).text).toBe("Free.");
  expect(server.requests.at(-1)).toMatchObject({ path: "/v1/chat/completions", body: { model: "qwen3" } });
  expect(server.requests.at(-1)?.headers.authorization).toBeUndefined();
});

test("the model that nobody named", async () => {
  expect(await defaultModel({})).toBe("scripted");
  expect(await defaultModel({ anthropicApiKey: "k", openaiApiKey: "k" })).toMatch(/^claude-/);
  expect(await defaultModel({ openaiApiKey: "k" })).toMatch(/^gpt-/);
  expect(await defaultModel({ openaiApiKey: "k", openaiBaseUrl: "https://api.openai.com/v1" })).toMatch(/^gpt-/);
  server = await startModelServer({ models: [] });
  await expect(defaultModel({ openaiBaseUrl: `${server.url}/v1` })).rejects.toMatchObject({ kind: "not_configured" });
  await expect(defaultModel({ openaiBaseUrl: "http://127.0.0.1:9/v1" })).rejects.toMatchObject({ kind: "unavailable" });
});

test("the list begins with the default model, also where the provider's list leaves it out", () => {
  const idsFrom = (id: string) => listFromDefault(createModels({}), id).map((model) => model.id);
  expect(idsFrom("scripted/repair")).toEqual(["scripted/repair", "scripted"]);
  expect(idsFrom("claude-new")).toEqual(["claude-new", "scripted", "scripted/repair"]);
});

test.each([
  [{ "retry-after": "2" }, 2000],
  [{ "retry-after": "0.5" }, 500],
  [{ "retry-after": "Thu, 01 Jan 1970 00:00:30 GMT" }, 20_000],
  [{ "retry-after": "Thu, 01 Jan 1970 00:00:01 GMT" }, 0],
  [{ "retry-after-ms": "70", "retry-after": "2" }, 70],
  [{ "retry-after": "-5" }, 0],
  [{ "retry-after": "999999999" }, 86_400_000],
  [{ "retry-after": "soon" }, undefined],
  [{ "retry-after": "" }, undefined],
  [{}, undefined],
])("%j means %s ms", (headers, expected) => {
  const now = 10_000;
  expect(retryAfter(headers, now)).toBe(expected);
});

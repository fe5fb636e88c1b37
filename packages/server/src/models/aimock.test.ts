/**
 * Every adapter against a second, independent implementation of the protocols. It leaves out cache figures and usage,
 * errors in the stream, and Anthropic's malformed arguments: those are the stand-in's part.
 * @module
 */
import { LLMock } from "@copilotkit/aimock";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ModelProvider } from "./model.ts";
import { createModels } from "./registry.ts";
import { collectAnswer, continueWith, modelRequest, userMessage } from "./testing/model-calls.ts";

let mock: LLMock;
let models: ModelProvider;
beforeEach(async () => {
  mock = new LLMock({ port: 0, host: "127.0.0.1", logLevel: "silent" });
  await mock.start();
  const key = "sk-mock";
  models = createModels({
    anthropicApiKey: key,
    anthropicBaseUrl: mock.url,
    openaiApiKey: key,
    openaiBaseUrl: `${mock.url}/v1`,
  });
});
afterEach(() => mock.stop());

describe.each(["claude-sonnet-5-5", "openai/gpt-5.5", "openai-chat/gpt-5.5", "compatible/qwen3"])("%s", (model) => {
  test("text", async () => {
    mock.onMessage("Hello.", { content: "Hello to you, at some length, so that it takes several pieces." });
    const answer = await collectAnswer(models, modelRequest({ model }));
    expect(answer.text).toBe("Hello to you, at some length, so that it takes several pieces.");
    expect(answer.finishReason).toBe("stop");
  });

  test("tools, over two turns", async () => {
    mock.on(
      { userMessage: "Hello.", hasToolResult: false },
      {
        toolCalls: [
          { name: "bash", arguments: '{"command":"ls"}' },
          { name: "bash", arguments: '{"command":"pwd"}' },
        ],
      },
    );
    mock.on({ userMessage: "Hello.", hasToolResult: true }, { content: "All done." });
    const first = await collectAnswer(models, modelRequest({ model }));
    expect(first.content.filter((part) => part.type !== "thinking")).toMatchObject([
      { type: "tool_call", toolName: "bash", input: { command: "ls" } },
      { type: "tool_call", toolName: "bash", input: { command: "pwd" } },
    ]);
    expect(first.finishReason).toBe("tool_calls");
    const messages = [userMessage("Hello."), ...continueWith(first, "a file")];
    expect((await collectAnswer(models, modelRequest({ model, messages }))).text).toBe("All done.");
  });

  test.each([
    [429, "rate_limited", 7000],
    [529, "overloaded", undefined],
    [500, "unavailable", undefined],
  ] as const)("%i", async (status, kind, retryAfterMs) => {
    const error = { message: "sorry", type: status === 529 ? "overloaded_error" : "api_error" };
    mock.onMessage("Hello.", { error, status, retryAfter: 7 });
    await expect(collectAnswer(models, modelRequest({ model }))).rejects.toMatchObject({ kind, retryAfterMs });
  });

  test("a cut connection", async () => {
    const content = "A long answer of which only the beginning arrives before the line goes dead.";
    mock.onMessage("Hello.", { content }, { chunkSize: 5, truncateAfterChunks: 3 });
    await expect(collectAnswer(models, modelRequest({ model }))).rejects.toMatchObject({ kind: "unavailable" });
  });
});

test("a thought's signature returns", async () => {
  mock.on(
    { userMessage: "Hello.", hasToolResult: false },
    {
      toolCalls: [{ name: "bash", arguments: "{}" }],
      reasoning: "I think.",
      reasoningSignature: "c2lnbmVk",
    },
  );
  mock.on({ userMessage: "Hello.", hasToolResult: true }, { content: "Done." });
  const model = "claude-sonnet-5-5";
  const first = await collectAnswer(models, modelRequest({ model }));
  expect(first.content[0]).toMatchObject({ type: "thinking", providerData: { anthropic: { signature: "c2lnbmVk" } } });
  await collectAnswer(models, modelRequest({ model, messages: [userMessage("Hello."), ...continueWith(first, "ok")] }));
  expect(mock.getRequests().length).toBe(2);
});

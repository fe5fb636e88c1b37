/** The stand-in as clients other than our own see it. @module */
import Anthropic from "@anthropic-ai/sdk";
import { afterEach, expect, test } from "vitest";
import { type ModelServer, type ServedStep, startModelServer } from "./model-server.ts";

let server: ModelServer;
afterEach(() => server.close());

const step: ServedStep = {
  thinking: "Hm.",
  text: "I look.",
  toolCalls: [{ name: "bash", input: { command: "ls" } }],
  usage: { input: 10, output: 5, cacheRead: 4, cacheWrite: 1 },
};

async function post(path: string, body: object) {
  const response = await fetch(server.url + path, { method: "POST", body: JSON.stringify({ model: "m", ...body }) });
  return { status: response.status, body: await response.json() };
}

test("the official Anthropic client reads its answers, streamed and whole", async () => {
  server = await startModelServer({ script: [step] });
  const client = new Anthropic({ baseURL: server.url, apiKey: "k", maxRetries: 0 });
  const request = {
    model: "claude-x",
    max_tokens: 100,
    messages: [{ role: "user" as const, content: [{ type: "text" as const, text: "Hi." }] }],
  };
  const whole = await client.messages.create(request);
  const streamed = await client.messages.stream(request).finalMessage();
  for (const message of [whole, streamed]) {
    expect(message.content.map((block) => block.type)).toEqual(["thinking", "text", "tool_use"]);
    expect(message.stop_reason).toBe("tool_use");
    expect(message.usage).toMatchObject({
      input_tokens: 5,
      output_tokens: 5,
      cache_read_input_tokens: 4,
      cache_creation_input_tokens: 1,
    });
  }
  expect(streamed.content).toMatchObject(whole.content);
});

test("whole answers of the other protocols", async () => {
  server = await startModelServer({ script: [step] });
  const responses = await post("/v1/responses", { input: [{ role: "user", content: "Hi." }] });
  expect(responses.body.output.map((item: { type: string }) => item.type)).toEqual([
    "reasoning",
    "message",
    "function_call",
  ]);
  expect(responses.body.usage).toMatchObject({ input_tokens: 10, input_tokens_details: { cached_tokens: 4 } });
  const chat = await post("/v1/chat/completions", { messages: [{ role: "user", content: "Hi." }] });
  expect(chat.body.choices[0]).toMatchObject({
    finish_reason: "tool_calls",
    message: { content: "I look.", tool_calls: [{ function: { name: "bash", arguments: '{"command":"ls"}' } }] },
  });
});

test("refuses what the services refuse", async () => {
  server = await startModelServer({ script: [step] });
  const forged = [
    { role: "user", content: [{ type: "text", text: "Hi." }] },
    { role: "assistant", content: [{ type: "thinking", thinking: "Hm.", signature: "forged" }] },
  ];
  expect(await post("/v1/messages", { messages: forged })).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringContaining("signature") } },
  });
  const open = [forged[0], { role: "assistant", content: [{ type: "tool_use", id: "a", name: "bash", input: {} }] }];
  expect((await post("/v1/messages", { messages: open })).body.error.message).toContain("without tool_result");
  expect((await post("/v1/messages", { messages: [] })).status).toBe(400);
  const orphan = [{ role: "tool", tool_call_id: "a", content: "ok" }];
  expect((await post("/v1/chat/completions", { messages: orphan })).status).toBe(400);
  expect((await post("/v1/elsewhere", {})).status).toBe(404);
});

test("a brain sees the conversation; every request is kept", async () => {
  server = await startModelServer({ brain: ({ messages, tools }) => ({ text: `${messages.length} ${tools.length}` }) });
  const chat = await post("/v1/chat/completions", { messages: [{ role: "user", content: "Hi." }] });
  expect(chat.body.choices[0].message.content).toBe("1 0");
  expect(server.requests).toMatchObject([{ method: "POST", path: "/v1/chat/completions", body: { model: "m" } }]);
});

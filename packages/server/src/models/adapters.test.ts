/** Every adapter against the stand-in server over HTTP: the same answers, the same failures. @module */
import { afterEach, describe, expect, test } from "vitest";
import { ModelError, type ModelErrorKind } from "./model.ts";
import { createModels } from "./registry.ts";
import { collectAnswer, continueWith, modelRequest, userMessage } from "./testing/model-calls.ts";
import { type ModelServer, type ServedStep, startModelServer } from "./testing/model-server.ts";
import type { SilenceLimits } from "./watch-stream.ts";

let server: ModelServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function serve(script: readonly ServedStep[], silence?: SilenceLimits) {
  server = await startModelServer({ script });
  const models = createModels({
    anthropicApiKey: "sk-secret",
    anthropicBaseUrl: server.url,
    openaiApiKey: "sk-secret",
    openaiBaseUrl: `${server.url}/v1`,
    silence,
  });
  return { models, requests: server.requests };
}

const adapters = ["claude-sonnet-5-5", "openai/gpt-5.5", "openai-chat/gpt-5.5", "compatible/qwen3"];

describe.each(adapters)("%s", (model) => {
  test("streams text and counts tokens, cached ones too", async () => {
    const text = "A sentence that is long enough to arrive in several pieces, one after the other.";
    const { models } = await serve([{ text, usage: { input: 100, output: 20, cacheRead: 60 } }]);
    const answer = await collectAnswer(models, modelRequest({ model }));
    expect(answer.text).toBe(text);
    expect(answer.parts.filter((part) => part.type === "text_delta").length).toBeGreaterThan(1);
    expect(answer.parts[0]).toEqual({ type: "text_start" });
    expect(answer.parts.at(-2)).toEqual({ type: "text_end" });
    expect(answer.content).toMatchObject([{ type: "text", text }]);
    expect(answer.usage).toEqual({ input: 100, output: 20, cacheRead: 60, cacheWrite: 0, estimated: false });
    expect(answer.finishReason).toBe("stop");
  });

  test("calls tools in parallel, and shows their results to the model", async () => {
    const toolCalls = [
      { name: "bash", input: { command: "ls" } },
      { name: "bash", input: { command: "pwd" } },
    ];
    const { models, requests } = await serve([{ text: "Two at once.", toolCalls }, { text: "Thanks." }]);
    const first = await collectAnswer(models, modelRequest({ model }));
    expect(first.finishReason).toBe("tool_calls");
    const calls = first.content.flatMap((part) => (part.type === "tool_call" ? [part] : []));
    expect(calls).toMatchObject([
      { toolName: "bash", input: { command: "ls" } },
      { toolName: "bash", input: { command: "pwd" } },
    ]);
    expect(new Set(calls.map((call) => call.callId)).size).toBe(2);
    expect(first.parts.filter((part) => part.type === "tool_call_start")).toEqual([
      { type: "tool_call_start", toolName: "bash" },
      { type: "tool_call_start", toolName: "bash" },
    ]);
    const messages = [userMessage("Hello."), ...continueWith(first, "the result of a tool")];
    const second = await collectAnswer(models, modelRequest({ model, messages }));
    expect(second.text).toBe("Thanks.");
    expect(JSON.stringify(requests[1]?.body)).toContain("the result of a tool");
  });

  // Chat Completions of OpenAI carries no thoughts.
  test.for(model.startsWith("openai-chat") ? [] : [model])("brings thoughts of %s back as they were", async () => {
    const thinking = "A thought that is long enough to come in more than one piece of the stream.";
    const script = [
      { thinking, text: "Thought.", toolCalls: [{ name: "bash", input: { command: "ls" } }] },
      { text: "Done." },
    ];
    const { models, requests } = await serve(script);
    const first = await collectAnswer(models, modelRequest({ model, effort: "high" }));
    expect(first.content[0]).toMatchObject({ type: "thinking", text: thinking });
    expect(first.parts.slice(0, 2)).toEqual([{ type: "thinking_start" }, { type: "thinking_end" }]);
    const stored: typeof first = JSON.parse(JSON.stringify(first));
    const messages = [userMessage("Hello."), ...continueWith(stored, "ok")];
    // The server refuses a thought whose seal is not the one it gave.
    expect((await collectAnswer(models, modelRequest({ model, messages }))).text).toBe("Done.");
    expect(JSON.stringify(requests[1]?.body)).toContain(thinking);
    expect(JSON.stringify(requests[0]?.body)).toContain("high");
  });

  test("hands malformed arguments on, with their text", async () => {
    const toolCalls = [{ name: "bash", input: { command: "ls" } }];
    const { models } = await serve([{ toolCalls, fault: { kind: "malformed_arguments" } }, { text: "Again." }]);
    const first = await collectAnswer(models, modelRequest({ model }));
    expect(first.content).toMatchObject([
      { type: "tool_call", toolName: "bash", input: null, malformed: '{"command":"ls",' },
    ]);
    const messages = [userMessage("Hello."), ...continueWith(first, "not JSON")];
    expect((await collectAnswer(models, modelRequest({ model, messages }))).text).toBe("Again.");
  });

  test("tells why an answer ended", async () => {
    const { models } = await serve([{ text: "Too lo", fault: { kind: "length" } }]);
    expect((await collectAnswer(models, modelRequest({ model }))).finishReason).toBe("length");
    await server?.close();
    const refusing = await serve([{ text: "I will not.", fault: { kind: "refusal" } }]);
    expect((await collectAnswer(refusing.models, modelRequest({ model }))).finishReason).toBe("refusal");
  });

  test("estimates tokens that nobody counted", async () => {
    const { models } = await serve([{ text: "Uncounted words." }]);
    const { usage } = await collectAnswer(models, modelRequest({ model }));
    expect(usage.estimated).toBe(true);
    expect(usage.input).toBeGreaterThan(10);
    expect(usage.output).toBe(4);
  });

  const longText = { text: "A text of some length, of which only the first half will ever arrive at the other end." };
  const failures: readonly [name: string, fault: ServedStep["fault"], kind: ModelErrorKind, retryAfterMs?: number][] = [
    ["429 with seconds", { kind: "rate_limited", retryAfterMs: 2000 }, "rate_limited", 2000],
    [
      "429 with milliseconds",
      { kind: "status", status: 429, headers: { "retry-after-ms": "150", "retry-after": "9" } },
      "rate_limited",
      150,
    ],
    ["429 for lack of money", { kind: "status", status: 429, errorType: "insufficient_quota" }, "rejected"],
    ["529", { kind: "overloaded" }, "overloaded"],
    ["503", { kind: "status", status: 503 }, "overloaded"],
    ["500", { kind: "status", status: 500 }, "unavailable"],
    ["502 without JSON", { kind: "status", status: 502 }, "unavailable"],
    ["401", { kind: "status", status: 401, message: "Incorrect key sk-secret" }, "unauthenticated"],
    ["403", { kind: "status", status: 403 }, "unauthenticated"],
    ["404", { kind: "status", status: 404, errorType: "not_found_error" }, "rejected"],
    ["400", { kind: "status", status: 400, errorType: "invalid_request_error", message: "Bad: sk-secret" }, "rejected"],
    [
      "400, prompt too long",
      { kind: "status", status: 400, message: "prompt is too long: 9 tokens > 8 maximum" },
      "context_overflow",
    ],
    ["400, context length", { kind: "status", status: 400, errorType: "context_length_exceeded" }, "context_overflow"],
    ["413", { kind: "status", status: 413, errorType: "request_too_large" }, "context_overflow"],
    ["a cut connection", { kind: "disconnect" }, "unavailable"],
    ["an answer without end", { kind: "no_finish" }, "unavailable"],
    ["an error in the stream", { kind: "stream_error", errorType: "overloaded_error" }, "overloaded"],
    ["an unknown error in the stream", { kind: "stream_error", errorType: "server_error" }, "unavailable"],
  ];
  test.each(failures)("%s", async (_name, fault, kind, retryAfterMs) => {
    const { models, requests } = await serve([{ ...longText, fault }]);
    const error = await collectAnswer(models, modelRequest({ model })).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ kind, retryAfterMs });
    expect(String(error)).not.toContain("sk-secret");
    expect(String(error)).not.toContain("Hello.");
    expect(requests.length, "nobody but the loop retries").toBe(1);
    if (fault?.kind === "disconnect")
      expect((await collectAnswer(models, modelRequest({ model }))).text).toBe(longText.text);
  });

  test("gives up on a silent server", async () => {
    const { models } = await serve([{ text: "Never.", fault: { kind: "silence" } }], {
      firstPartMs: 100,
      nextPartMs: 100,
    });
    const failed = collectAnswer(models, modelRequest({ model }));
    await expect(failed).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("sent nothing"),
    });
  });

  test("stops when it is aborted, before and within the stream", async () => {
    const { models, requests } = await serve([{ ...longText, chunkDelayMs: 20 }]);
    const abort = new AbortController();
    const request = modelRequest({ model, abortSignal: abort.signal });
    const stream = models.stream(request)[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ type: "text_start" });
    expect((await stream.next()).value).toMatchObject({ type: "text_delta" });
    abort.abort();
    await expect(stream.next()).rejects.toMatchObject({ kind: "aborted" });
    await expect(collectAnswer(models, request)).rejects.toMatchObject({ kind: "aborted" });
    expect(requests.length).toBe(1);
  });

  test("closes the connection of a stream that is left early", async () => {
    const { models } = await serve([{ text: "word ".repeat(2000), chunkDelayMs: 10 }]);
    for await (const part of models.stream(modelRequest({ model }))) if (part.type === "text_delta") break;
    await expect.poll(() => server?.openAnswers()).toBe(0);
  });

  test("says that nobody listens", async () => {
    const { models } = await serve([]);
    await server?.close();
    server = undefined;
    const failed = collectAnswer(models, modelRequest({ model }));
    await expect(failed).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});

test("Claude's cache ends at the system and at the last two given messages, and its tools are not streamed", async () => {
  const { models, requests } = await serve([{ toolCalls: [{ name: "bash", input: {} }] }, { text: "Done." }]);
  const model = "claude-sonnet-5-5";
  const first = await collectAnswer(models, modelRequest({ model }));
  await collectAnswer(models, modelRequest({ model, messages: [userMessage("Hello."), ...continueWith(first, "ok")] }));
  const mark = { cache_control: { type: "ephemeral" } };
  expect(requests[1]?.body).toMatchObject({
    system: [{ type: "text", text: "You are a test.", ...mark }],
    messages: [
      { role: "user", content: [{ type: "text", ...mark }] },
      { role: "assistant" },
      { role: "user", content: [{ type: "tool_result", ...mark }] },
    ],
    thinking: { type: "adaptive" },
  });
  expect(JSON.stringify(requests[1]?.body)).not.toContain("eager_input_streaming");
  expect(requests[1]?.headers["x-api-key"]).toBe("sk-secret");
});

test("OpenAI keeps nothing, and seals its reasoning", async () => {
  const { models, requests } = await serve([{ text: "Hi." }]);
  await collectAnswer(models, modelRequest({ model: "openai/gpt-5.5" }));
  expect(requests[0]?.body).toMatchObject({ store: false, include: ["reasoning.encrypted_content"] });
});

test("another provider's transcript is no obstacle", async () => {
  const step = { thinking: "Hm.", text: "Look.", toolCalls: [{ name: "bash", input: { command: "ls" } }] };
  for (const from of adapters) {
    for (const to of adapters) {
      const { models } = await serve([step, { text: "Carried on." }]);
      const first = await collectAnswer(models, modelRequest({ model: from }));
      const messages = [userMessage("Hello."), ...continueWith(first, "ok")];
      expect((await collectAnswer(models, modelRequest({ model: to, messages }))).text, `${from} to ${to}`).toBe(
        "Carried on.",
      );
      await server?.close();
    }
  }
  server = undefined;
});

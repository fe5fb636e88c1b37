/** Every adapter against the stand-in server over HTTP: the same answers, the same failures. @module */
import { afterEach, describe, expect, test } from "vitest";
import { collectAnswer, continueWith, modelRequest, userMessage } from "./testing/model-calls.ts";
import { adapters, closeServer, openAnswers, serve } from "./testing/served-models.ts";

afterEach(closeServer);

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
    await closeServer();
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

  test("stops when it is aborted, before and within the stream", async () => {
    const { models, requests } = await serve([{ text: "word ".repeat(20), chunkDelayMs: 20 }]);
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
    await expect.poll(openAnswers).toBe(0);
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
      await closeServer();
    }
  }
});

/** Everything that goes wrong between us and a provider, over real HTTP, through every adapter. @module */
import { afterEach, describe, expect, test } from "vitest";
import { ModelError, type ModelErrorKind } from "./model.ts";
import { collectAnswer, continueWith, modelRequest, userMessage } from "./testing/model-calls.ts";
import type { ServedStep } from "./testing/model-server.ts";
import { adapters, closeServer, openAnswers, serve } from "./testing/served-models.ts";

afterEach(closeServer);

const text = "A text of some length, of which only the first half will ever arrive at the other end.";
type Fault = NonNullable<ServedStep["fault"]>;
const status = (code: number, more: { errorType?: string; message?: string; body?: string } = {}): Fault => ({
  kind: "status",
  status: code,
  ...more,
});
const limited = (headers: Readonly<Record<string, string>>): Fault => ({ kind: "status", status: 429, headers });

/** `used`: the provider may charge for the attempt. */
const failures: readonly [name: string, fault: Fault, kind: ModelErrorKind, used: boolean][] = [
  ["429", status(429), "rate_limited", false],
  ["429 for lack of money", status(429, { errorType: "insufficient_quota" }), "rejected", false],
  ["529", { kind: "overloaded" }, "overloaded", false],
  ["503", status(503), "overloaded", false],
  ["500", status(500), "unavailable", false],
  ["502", status(502), "unavailable", false],
  ["502 with a gateway's page", status(502, { body: "<html>Bad gateway</html>" }), "unavailable", false],
  ["503 with nothing", status(503, { body: "" }), "overloaded", false],
  ["504", status(504), "unavailable", false],
  ["408", status(408), "unavailable", false],
  ["401", status(401, { message: "Incorrect key sk-secret" }), "unauthenticated", false],
  ["403", status(403), "unauthenticated", false],
  ["404", status(404, { errorType: "not_found_error" }), "rejected", false],
  ["400", status(400, { errorType: "invalid_request_error", message: "Bad: sk-secret" }), "rejected", false],
  ["400 with nothing", status(400, { body: "" }), "rejected", false],
  ["400, too much output asked", status(400, { message: "max_tokens: 200000 > 128000" }), "rejected", false],
  ["422", status(422, { errorType: "invalid_request_error" }), "rejected", false],
  ["413", status(413, { errorType: "request_too_large" }), "context_overflow", false],
  ["a connection reset before an answer", { kind: "reset", before: "headers" }, "unavailable", false],
  ["a connection reset within the answer", { kind: "reset", before: "rest" }, "unavailable", true],
  ["a cut connection", { kind: "disconnect" }, "unavailable", true],
  ["an answer without end", { kind: "no_finish" }, "unavailable", true],
  ["overloaded in the stream", { kind: "stream_error", errorType: "overloaded_error" }, "overloaded", true],
  ["an unknown error in the stream", { kind: "stream_error", errorType: "server_error" }, "unavailable", true],
  ["no window left", { kind: "stream_error", errorType: "context_length_exceeded" }, "context_overflow", true],
];

/** What services and servers say about a conversation that is too long. */
const overflows: readonly (readonly [string, Fault])[] = [
  ["Anthropic", status(400, { message: "prompt is too long: 213462 tokens > 200000 maximum" })],
  [
    "Anthropic, with the answer",
    status(400, { message: "input length and `max_tokens` exceed context limit: 9 + 9 > 9" }),
  ],
  ["OpenAI's code", status(400, { errorType: "context_length_exceeded" })],
  ["OpenAI", status(400, { message: "Your input exceeds the context window of this model." })],
  [
    "vLLM",
    status(400, {
      body: '{"object":"error","message":"This model\'s maximum context length is 8192 tokens. However, you requested 9000 tokens.","type":"BadRequestError","param":null,"code":400}',
    }),
  ],
  [
    "llama.cpp",
    status(400, {
      body: '{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}',
    }),
  ],
  ["llama.cpp, older", status(500, { body: '{"error":{"message":"the request exceeds the available context size"}}' })],
  ["Ollama", status(400, { message: "prompt too long; exceeded max context length by 812 tokens" })],
  ["Ollama, older", status(500, { body: '{"error":"the input length exceeds the context length"}' })],
  ["LM Studio", status(400, { message: "tokens to keep from the initial prompt is greater than the context length" })],
  ["Groq", status(400, { message: "Please reduce the length of the messages or completion." })],
  [
    "Mistral",
    status(400, { message: "Prompt contains 9000 tokens, too large for model with 8192 maximum context length" }),
  ],
  [
    "xAI",
    status(400, { message: "This model's maximum prompt length is 131072 but the request contains 537812 tokens." }),
  ],
  [
    "Gemini",
    status(400, { message: "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)." }),
  ],
  [
    "gateways",
    status(422, { message: "Input length 131393 exceeds the maximum allowed input length of 131040 tokens." }),
  ],
];

describe.each(adapters)("%s", (model) => {
  const fail = async (fault: Fault) => {
    const { models, requests } = await serve([{ text, fault }]);
    const error = await collectAnswer(models, modelRequest({ model })).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ModelError);
    expect(String(error)).not.toMatch(/sk-secret|Hello\.|Bad gateway/);
    expect(requests.length, "nobody but the loop retries").toBe(1);
    return { error: error as ModelError, models };
  };

  test.each(failures)("%s", async (_name, fault, kind, used) => {
    const { error, models } = await fail(fault);
    expect(error.kind).toBe(kind);
    expect(error.usage).toMatchObject(used ? { estimated: true } : { input: 0, output: 0 });
    if (used) expect(error.usage?.input).toBeGreaterThan(20);
    // The server fails once: what may pass has passed.
    if (error.retryable) expect((await collectAnswer(models, modelRequest({ model }))).text).toBe(text);
  });

  test.each(overflows)("a conversation that is too long for %s", async (_name, fault) => {
    const { error } = await fail(fault);
    expect(error).toMatchObject({ kind: "context_overflow", retryable: false, usage: { input: 0 } });
  });

  test("waits as long as it is told: seconds, milliseconds, a date", async () => {
    expect((await fail(limited({ "retry-after": "2" }))).error.retryAfterMs).toBe(2000);
    await closeServer();
    expect((await fail(limited({ "retry-after-ms": "150", "retry-after": "9" }))).error.retryAfterMs).toBe(150);
    await closeServer();
    const date = new Date(Date.now() + 30_000).toUTCString();
    const { retryAfterMs } = (await fail(limited({ "retry-after": date }))).error;
    expect(retryAfterMs).toBeGreaterThan(25_000);
    expect(retryAfterMs).toBeLessThanOrEqual(30_000);
    await closeServer();
    const overloaded: Fault = { kind: "status", status: 529, headers: { "retry-after": "7" } };
    expect((await fail(overloaded)).error.retryAfterMs).toBe(7000);
  });

  test("counts what has arrived of a cut answer", async () => {
    const long = "word ".repeat(400);
    const { models } = await serve([{ text: long, fault: { kind: "disconnect" } }]);
    let received = 0;
    const read = async () => {
      for await (const part of models.stream(modelRequest({ model }))) {
        if (part.type === "text_delta") received += part.text.length;
      }
    };
    const error = await read().catch((reason: unknown) => reason);
    expect(received).toBeGreaterThan(500);
    expect(received).toBeLessThan(1500);
    expect(error).toMatchObject({ usage: { output: Math.ceil(received / 4), estimated: true } });
  });

  test.each([
    ["headers", "before its answer began", 120, 5000],
    ["answer", "before its answer began", 120, 5000],
    ["rest", "within its answer", 5000, 120],
  ] as const)("gives up on a server that is silent: %s", async (of, message, firstPartMs, nextPartMs) => {
    const { models } = await serve([{ text, fault: { kind: "silence", of } }], { firstPartMs, nextPartMs });
    const started = performance.now();
    const failed = collectAnswer(models, modelRequest({ model }));
    await expect(failed).rejects.toMatchObject({
      kind: "unavailable",
      retryable: true,
      message: `The model sent nothing for 0.12 seconds ${message}.`,
      usage: { estimated: true },
    });
    expect(performance.now() - started).toBeLessThan(4000);
    await expect.poll(openAnswers, { message: "the connection is closed" }).toBe(0);
  });

  test("says that nobody listens", async () => {
    const { models } = await serve([]);
    await closeServer();
    const error = await collectAnswer(models, modelRequest({ model })).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ kind: "unavailable", retryable: true, usage: { input: 0 } });
    expect(String(error)).toContain("ECONNREFUSED");
  });

  test("an empty answer is an answer without content", async () => {
    const { models } = await serve([{ text, fault: { kind: "empty" } }]);
    const answer = await collectAnswer(models, modelRequest({ model }));
    expect(answer).toMatchObject({ content: [], finishReason: "stop", usage: { output: 0 } });
  });

  test("a refusal is an answer, with what was said", async () => {
    const { models } = await serve([{ text, fault: { kind: "refusal" } }]);
    const answer = await collectAnswer(models, modelRequest({ model }));
    expect(answer.finishReason).toBe("refusal");
  });

  test("a call that the maximum length cut in half is never whole", async () => {
    const toolCalls = [
      { name: "bash", input: { command: "echo one" } },
      { name: "bash", input: { command: "rm -rf build # and not more than that" } },
    ];
    const { models } = await serve([{ text, toolCalls, fault: { kind: "length" } }, { text: "Again." }]);
    const answer = await collectAnswer(models, modelRequest({ model }));
    expect(answer.finishReason).toBe("length");
    const [first, second] = answer.content.filter((part) => part.type === "tool_call");
    expect(first).toMatchObject({ input: { command: "echo one" } });
    // Some adapters leave it out, some hand its half on.
    if (second !== undefined) expect(second.input).toBeNull();
    const messages = [userMessage("Hello."), ...continueWith(answer, "cut off")];
    expect((await collectAnswer(models, modelRequest({ model, messages }))).text).toBe("Again.");
  });

  test("a call of a tool that nobody offered is handed on", async () => {
    const toolCalls = [{ name: "teleport", input: { to: "Mars" } }];
    const { models } = await serve([{ toolCalls }, { text: "Then not." }]);
    const answer = await collectAnswer(models, modelRequest({ model }));
    expect(answer.content).toMatchObject([{ type: "tool_call", toolName: "teleport", input: { to: "Mars" } }]);
    const messages = [userMessage("Hello."), ...continueWith(answer, "There is no tool teleport.")];
    expect((await collectAnswer(models, modelRequest({ model, messages }))).text).toBe("Then not.");
  });
});

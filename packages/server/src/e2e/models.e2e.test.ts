/** Whole sessions over real wire protocols, against a stand-in for the services that fails as they do. */
import type Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModelServer, startModelServer } from "../models/testing/model-server.ts";
import { createTestSession, startTestServer, type TestServer } from "./running.ts";

const script = [
  {
    thinking: "Two things to look at.",
    text: "I look at both.",
    toolCalls: [
      { name: "bash", input: { command: "echo from bash" } },
      { name: "glob", input: { pattern: "*.nothing" } },
    ],
    usage: { input: 500, output: 40, cacheRead: 300, cacheWrite: 100 },
  },
  { toolCalls: [{ name: "bash", input: {} }], fault: { kind: "malformed_arguments" as const } },
  { text: "Here again.", fault: { kind: "rate_limited" as const, retryAfterMs: 1_000 } },
];

describe("sessions over the wire protocol of", () => {
  let models: ModelServer;
  let server: TestServer;
  beforeAll(async () => {
    models = await startModelServer({ script });
    server = await startTestServer({
      ANTHROPIC_API_KEY: "test-key-anthropic",
      ANTHROPIC_BASE_URL: `${models.url}/v1`,
      OPENAI_API_KEY: "test-key-openai",
      OPENAI_BASE_URL: `${models.url}/v1`,
    });
  }, 60_000);
  afterAll(async () => {
    await server.stop();
    await models.close();
  });

  async function play(model: string) {
    const { sdk } = server;
    const sessionId = await createTestSession(sdk, model);
    const stream = await sdk.beta.sessions.events.stream(sessionId);
    await sdk.beta.sessions.events.send(sessionId, {
      events: [{ type: "user.message", content: [{ type: "text", text: `Look around, as ${model}.` }] }],
    });
    for await (const event of stream) if (event.type === "session.status_idle") break;
    stream.controller.abort();
    const events: Anthropic.Beta.Sessions.BetaManagedAgentsSessionEvent[] = [];
    for await (const event of sdk.beta.sessions.events.list(sessionId)) events.push(event);
    return events;
  }

  it.each(["claude-sonnet-4-5", "gpt-5.1", "openai-chat/gpt-5.1", "compatible/local-model"])(
    "%s: parallel calls, malformed arguments, a rate limit",
    async (model) => {
      const events = await play(model);
      const results = events.flatMap((event) =>
        event.type === "agent.tool_result" ? [JSON.stringify(event.content)] : [],
      );
      expect(results[0]).toContain("from bash");
      expect(results[1]).toMatch(/no (matches|files)/i);
      expect(results[2]).toContain("not a JSON object");
      const errors = events.flatMap((event) => (event.type === "session.error" ? [event.error] : []));
      expect(errors).toMatchObject([{ type: "model_rate_limited_error", retry_status: { type: "retrying" } }]);
      const last = events.at(-1);
      expect(last?.type === "session.status_idle" && last.stop_reason.type).toBe("end_turn");
      const said = events.flatMap((event) => (event.type === "agent.message" ? [JSON.stringify(event.content)] : []));
      expect(said.join()).toContain("Here again.");
      const ends = events.flatMap((event) => (event.type === "span.model_request_end" ? [event] : []));
      expect(ends[0]?.model_usage.cache_read_input_tokens).toBe(300);
      expect(ends.map((end) => end.is_error)).toEqual([false, false, true, false]);
      expect(JSON.stringify(events)).not.toContain("test-key");
    },
    30_000,
  );

  it("a model that does not exist: the session says so and is idle again", async () => {
    const { sdk } = server;
    const sessionId = await createTestSession(sdk, "scripted/no-such-script");
    const stream = await sdk.beta.sessions.events.stream(sessionId);
    await sdk.beta.sessions.events.send(sessionId, {
      events: [{ type: "user.message", content: [{ type: "text", text: "hello" }] }],
    });
    for await (const event of stream) {
      if (event.type !== "session.status_idle") continue;
      expect(event.stop_reason.type).toBe("retries_exhausted");
      break;
    }
    stream.controller.abort();
    expect((await sdk.beta.sessions.retrieve(sessionId)).status).toBe("idle");
  });
});

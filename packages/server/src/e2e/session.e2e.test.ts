import type Anthropic from "@anthropic-ai/sdk";
import { createClient } from "@exoloop/client/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestSession, scriptedMessage, startTestServer, type TestServer } from "./running.ts";

const steps = [
  {
    thinking: "First the file, then the number of its lines.",
    text: "I write a file and look at it.",
    toolCalls: [{ name: "bash", input: { command: "printf 'one\\ntwo\\n' > list.txt; wc -l < list.txt" } }],
    usage: { input: 100, output: 20, cacheRead: 60, cacheWrite: 10 },
    chunkDelayMs: 5,
  },
  {
    toolCalls: [
      { name: "read", input: { file_path: "/workspace/list.txt" } },
      { name: "grep", input: { pattern: "tw.", path: "/workspace" } },
    ],
  },
  { toolCalls: [{ name: "bash", input: { command: "sleep 0.3; echo slept" } }] },
  {
    toolCalls: [{ name: "edit", input: { file_path: "/workspace/list.txt", old_string: "two", new_string: "three" } }],
  },
  { toolCalls: [{ name: "write", input: { file_path: "/memory/org/list.md", content: "The list has two lines.\n" } }] },
  { toolCalls: [{ name: "bash", input: { command: "cat list.txt $MEMORY/org/list.md" } }] },
  { text: "All done.", chunkDelayMs: 5 },
];

type SessionEvent = Anthropic.Beta.Sessions.BetaManagedAgentsSessionEvent;

const isDurable = (event: { type: string }) => event.type !== "event_start" && event.type !== "event_delta";

/** The whole history, through the SDK's own pagination. */
async function history(sdk: Anthropic, sessionId: string): Promise<SessionEvent[]> {
  const events: SessionEvent[] = [];
  for await (const event of sdk.beta.sessions.events.list(sessionId, { limit: 3 })) events.push(event);
  return events;
}

describe("a session", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  }, 60_000);
  afterAll(() => server.stop());

  it("runs through the official SDK, whose stream is dropped in the middle and opened again", async () => {
    const { sdk } = server;
    const sessionId = await createTestSession(sdk);
    const seen = new Map<string, SessionEvent>();
    const take = (event: SessionEvent) => {
      expect(seen.has(event.id)).toBe(false);
      seen.set(event.id, event);
    };
    const first = await sdk.beta.sessions.events.stream(sessionId);
    await sdk.beta.sessions.events.send(sessionId, { events: [scriptedMessage(steps)] });
    for await (const event of first) {
      if (!isDurable(event)) continue;
      take(event as SessionEvent);
      if (event.type === "agent.tool_result") break;
    }
    first.controller.abort();
    // As the SDK's helpers do: the stream first, then the history, then what the history did not have.
    const second = await sdk.beta.sessions.events.stream(sessionId);
    for (const event of await history(sdk, sessionId)) if (!seen.has(event.id)) take(event);
    const ended = () => [...seen.values()].some((event) => event.type === "session.status_idle");
    if (!ended()) {
      for await (const event of second) {
        if (!isDurable(event) || seen.has((event as SessionEvent).id)) continue;
        take(event as SessionEvent);
        if (ended()) break;
      }
    }
    second.controller.abort();
    const full = await history(sdk, sessionId);
    expect([...seen.keys()].sort()).toEqual(full.map((event) => event.id).sort());
    expectTranscript(full);
  });

  it("gives our own client every durable event once, in order, over connections that are cut", async () => {
    const { sdk, exoloop, apiKey } = server;
    const sessionId = await createTestSession(sdk);
    let connections = 0;
    // A connection that is cut after a few frames, again and again.
    const cutting: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (!response.headers.get("content-type")?.startsWith("text/event-stream") || response.body === null)
        return response;
      connections += 1;
      let chunks = 0;
      const cut = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          chunks += 1;
          controller.enqueue(chunk.subarray(0, chunks > 3 ? Math.ceil(chunk.length / 2) : chunk.length));
          if (chunks > 3) controller.error(new Error("connection cut"));
        },
      });
      return new Response(response.body.pipeThrough(cut), response);
    };
    const client = createClient({ baseUrl: exoloop.url, apiKey, fetch: cutting });
    const received: string[] = [];
    const controller = new AbortController();
    const following = (async () => {
      for await (const event of client.events.stream(sessionId, { afterSeq: 0, signal: controller.signal })) {
        if (!("id" in event)) continue;
        received.push(event.id);
        if (event.type === "session.status_idle") return;
      }
    })();
    await sdk.beta.sessions.events.send(sessionId, { events: [scriptedMessage(steps)] });
    await following;
    controller.abort();
    const full = await history(sdk, sessionId);
    expect(received).toEqual(full.map((event) => event.id));
    expect(connections).toBeGreaterThan(2);
  });

  it("streams previews to whoever asks, under the id of the final event", async () => {
    const { sdk } = server;
    const sessionId = await createTestSession(sdk);
    const stream = await sdk.beta.sessions.events.stream(sessionId, { event_deltas: ["agent.message"] });
    await sdk.beta.sessions.events.send(sessionId, {
      events: [scriptedMessage([{ text: "A sentence that takes a while to say, word by word.", chunkDelayMs: 20 }])],
    });
    let previewed = "";
    let previewId = "";
    for await (const event of stream) {
      if (event.type === "event_start") previewId = event.event.id;
      if (event.type === "event_delta" && event.delta.content.type === "text") previewed += event.delta.content.text;
      if (event.type === "agent.message") {
        expect(event.id).toBe(previewId);
        expect(event.content).toEqual([{ type: "text", text: previewed }]);
      }
      if (event.type === "session.status_idle") break;
    }
    expect(previewed).toContain("word by word");
    expect((await history(sdk, sessionId)).every(isDurable)).toBe(true);
  });
});

function expectTranscript(events: readonly SessionEvent[]): void {
  const results = events.flatMap((event) =>
    event.type === "agent.tool_result"
      ? [(event.content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("")]
      : [],
  );
  expect(results).toHaveLength(7);
  expect(results[0]).toMatch(/^2\b/);
  expect(results[1]).toContain("one");
  expect(results[2]).toContain("list.txt");
  expect(results[3]).toContain("slept");
  expect(results[6]).toContain("three");
  expect(results[6]).toContain("The list has two lines.");
  const first = events.find((event) => event.type === "span.model_request_end");
  expect(first?.type === "span.model_request_end" && first.model_usage).toMatchObject({
    input_tokens: 30,
    output_tokens: 20,
    cache_read_input_tokens: 60,
    cache_creation_input_tokens: 10,
  });
  const last = events.at(-1);
  expect(last?.type === "session.status_idle" && last.stop_reason.type).toBe("end_turn");
  expect(events.filter((event) => event.type === "user.message").every((event) => event.processed_at !== null)).toBe(
    true,
  );
}

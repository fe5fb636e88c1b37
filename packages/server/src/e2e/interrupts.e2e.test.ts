/** Interrupts over HTTP: a model that talks slowly, a command that runs. */
import { setTimeout as sleep } from "node:timers/promises";
import type Anthropic from "@anthropic-ai/sdk";
import { createClient } from "@exoloop/client/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestSession, scriptedMessage, startTestServer, type TestServer } from "./running.ts";

type SessionEvent = Anthropic.Beta.Sessions.BetaManagedAgentsSessionEvent;

describe("an interrupt", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  }, 60_000);
  afterAll(() => server.stop());

  async function history(sessionId: string): Promise<SessionEvent[]> {
    const events: SessionEvent[] = [];
    for await (const event of server.sdk.beta.sessions.events.list(sessionId)) events.push(event);
    return events;
  }
  async function eventually(sessionId: string, isDone: (events: readonly SessionEvent[]) => boolean) {
    for (let attempt = 0; attempt < 600; attempt += 1, await sleep(20)) {
      const events = await history(sessionId);
      if (isDone(events)) return events;
    }
    throw new Error(`not reached: ${(await history(sessionId)).map((event) => event.type).join(", ")}`);
  }
  const idles = (count: number) => (events: readonly SessionEvent[]) =>
    events.filter((event) => event.type === "session.status_idle").length === count;
  const send = (sessionId: string, ...events: Anthropic.Beta.Sessions.BetaManagedAgentsEventParams[]) =>
    server.sdk.beta.sessions.events.send(sessionId, { events });

  /** Milliseconds from the request to the idle event on a stream that was open before. */
  async function interrupt(sessionId: string): Promise<number> {
    const stream = await server.sdk.beta.sessions.events.stream(sessionId);
    const startedAt = performance.now();
    await send(sessionId, { type: "user.interrupt" });
    for await (const event of stream) if (event.type === "session.status_idle") break;
    stream.controller.abort();
    return performance.now() - startedAt;
  }

  it("stops a model within a second, and the next message is answered", async () => {
    const sessionId = await createTestSession(server.sdk);
    await send(sessionId, scriptedMessage([{ text: "It goes on and on. ".repeat(500), chunkDelayMs: 100 }]));
    await eventually(sessionId, (events) => events.some((event) => event.type === "span.model_request_start"));
    await sleep(300);
    expect(await interrupt(sessionId)).toBeLessThan(1_000);
    expect((await history(sessionId)).some((event) => event.type === "agent.message")).toBe(false);
    await send(sessionId, scriptedMessage([{ text: "Here again." }]));
    const events = await eventually(sessionId, idles(2));
    expect(events.at(-1)).toMatchObject({ stop_reason: { type: "end_turn" } });
    expect(events.findLast((event) => event.type === "agent.message")).toMatchObject({
      content: [{ text: "Here again." }],
    });
  });

  it("ends a command's whole process group within a second, says so, and the next command runs", async () => {
    const { sdk, exoloop, apiKey } = server;
    const client = createClient({ baseUrl: exoloop.url, apiKey });
    const sessionId = await createTestSession(sdk);
    const command = "(sleep 4321 & sleep 4321 & wait) & echo begun; sleep 4321";
    await send(sessionId, scriptedMessage([{ toolCalls: [{ name: "bash", input: { command } }] }, { text: "Never." }]));
    await eventually(sessionId, (events) => events.some((event) => event.type === "agent.tool_use"));
    // Until the sandbox is there and the command has begun.
    await expect
      .poll(async () => (await sdk.beta.sessions.retrieve(sessionId)) as object, { timeout: 20_000 })
      .toMatchObject({
        x_exoloop: { sandbox: { state: "awake" } },
      });
    await sleep(500);
    expect(await interrupt(sessionId)).toBeLessThan(1_000);
    const rested = await history(sessionId);
    const result = rested.find((event) => event.type === "agent.tool_result");
    expect(JSON.stringify(result)).toMatch(/begun.*interrupted/s);
    expect(rested.some((event) => event.type === "agent.message")).toBe(false);
    // Its own sleep shows that the count sees what runs.
    const count = (seconds: number) =>
      `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null | grep -c '^sleep ${seconds}'`;
    const look = await client.commands.run(sessionId, {
      command: `sleep 9876 & sleep 0.2; ${count(4321)}; ${count(9876)}`,
    });
    expect(look.output).toBe("0\n1\n");
    await send(
      sessionId,
      scriptedMessage([{ toolCalls: [{ name: "bash", input: { command: "echo alive" } }] }, { text: "Done." }]),
    );
    const events = await eventually(sessionId, idles(2));
    expect(JSON.stringify(events.findLast((event) => event.type === "agent.tool_result"))).toContain("alive");
  });
});

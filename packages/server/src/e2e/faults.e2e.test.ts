/** Processes that die while a session runs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startExoloop } from "../launch.ts";
import { createTestSession, scriptedMessage, startTestServer, type TestServer } from "./running.ts";

describe("a session outlives", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  }, 60_000);
  afterAll(() => server.stop());

  const slow = [
    {
      toolCalls: [{ name: "bash", input: { command: "echo begun >> count.txt; sleep 3; echo ended; cat count.txt" } }],
    },
    { text: "Finished." },
  ];

  /** Events of a type; the server may be away for a while. */
  async function waitFor(
    sessionId: string,
    type: string,
  ): Promise<{ readonly id: string; readonly content?: unknown }> {
    for (let attempt = 0; attempt < 300; attempt += 1) {
      try {
        const page = await server.sdk.beta.sessions.events.list(sessionId, {
          types: [type as "agent.tool_result"],
          limit: 10,
        });
        const [event] = page.data;
        if (event !== undefined) return event;
      } catch {
        // The server is being started again.
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no ${type}`);
  }

  it("its server, killed while a command runs: the command is joined again, not run again", async () => {
    const sessionId = await createTestSession(server.sdk);
    await server.sdk.beta.sessions.events.send(sessionId, { events: [scriptedMessage(slow)] });
    await waitFor(sessionId, "agent.tool_use");
    await new Promise((resolve) => setTimeout(resolve, 700));
    const killed = server.exoloop.serverPid;
    process.kill(killed, "SIGKILL");
    const result = await waitFor(sessionId, "agent.tool_result");
    expect(JSON.stringify(result.content)).toContain("ended\\nbegun");
    expect(JSON.stringify(result.content)).not.toContain("begun\\nbegun");
    expect(server.exoloop.serverPid).not.toBe(killed);
    await waitFor(sessionId, "session.status_idle");
  }, 60_000);

  it("its database, killed while a command runs", async () => {
    const sessionId = await createTestSession(server.sdk);
    await server.sdk.beta.sessions.events.send(sessionId, { events: [scriptedMessage(slow)] });
    await waitFor(sessionId, "agent.tool_use");
    await new Promise((resolve) => setTimeout(resolve, 700));
    const file = join(server.exoloop.home, "postgres", "connection.json");
    const { server: postmaster } = JSON.parse(readFileSync(file, "utf8")) as { server: { pid: number } };
    process.kill(postmaster.pid, "SIGKILL");
    const result = await waitFor(sessionId, "agent.tool_result");
    expect(JSON.stringify(result.content)).toContain("ended\\nbegun");
    expect(JSON.stringify(result.content)).not.toContain("begun\\nbegun");
    await waitFor(sessionId, "session.status_idle");
  }, 60_000);

  it("its sandbox host, killed while a command runs; a session that begins meanwhile waits for the next one", async () => {
    const readPid = (): number => Number(readFileSync(join(server.exoloop.home, "sandbox-host", "host.pid"), "utf8"));
    const [running, beginning] = [await createTestSession(server.sdk), await createTestSession(server.sdk)];
    await server.sdk.beta.sessions.events.send(running, { events: [scriptedMessage(slow)] });
    await waitFor(running, "agent.tool_use");
    await new Promise((resolve) => setTimeout(resolve, 700));
    const killed = readPid();
    process.kill(killed, "SIGKILL");
    const steps = [{ toolCalls: [{ name: "bash", input: { command: "echo from a new one" } }] }, { text: "Yes." }];
    await server.sdk.beta.sessions.events.send(beginning, { events: [scriptedMessage(steps)] });
    expect(JSON.stringify((await waitFor(beginning, "agent.tool_result")).content)).toContain("from a new one");
    const result = await waitFor(running, "agent.tool_result");
    expect(JSON.stringify(result.content)).toContain("ended\\nbegun");
    expect(JSON.stringify(result.content)).not.toContain("begun\\nbegun");
    await waitFor(running, "session.status_idle");
    expect(readPid()).not.toBe(killed);
  }, 60_000);

  it("a second launcher in the same home, which is told and stops nothing of the first", async () => {
    const second = startExoloop({
      environment: { PATH: process.env["PATH"], EXOLOOP_LOG_LEVEL: "silent" },
      home: server.exoloop.home,
      port: 0,
    });
    await expect(second).rejects.toThrow(/Another exoloop runs in .*EXOLOOP_HOME/);
    const sessionId = await createTestSession(server.sdk);
    const steps = [{ toolCalls: [{ name: "bash", input: { command: "echo still here" } }] }, { text: "Yes." }];
    await server.sdk.beta.sessions.events.send(sessionId, { events: [scriptedMessage(steps)] });
    expect(JSON.stringify((await waitFor(sessionId, "agent.tool_result")).content)).toContain("still here");
  });

  it("a server that is not root's", async () => {
    if (process.getuid?.() !== 0) return;
    const { statSync } = await import("node:fs");
    expect(statSync(`/proc/${server.exoloop.serverPid}`).uid).not.toBe(0);
  });
});

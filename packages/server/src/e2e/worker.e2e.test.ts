/** The official SDK's own worker of self-hosted environments, with its own tools, against this server. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { scriptedMessage, startTestServer, type TestServer } from "./running.ts";

type SessionEvent = Anthropic.Beta.Sessions.BetaManagedAgentsSessionEvent;

interface RunningWorker {
  /** As a signal would: what it runs is aborted, its item is stopped. */
  stop(): Promise<void>;
}

describe("the SDK's worker", () => {
  let server: TestServer;
  let sdk: Anthropic;
  let workdir: string;
  let environmentId: string;
  let environmentKey: string;
  const workers: RunningWorker[] = [];
  beforeAll(async () => {
    server = await startTestServer();
    sdk = server.sdk;
  }, 60_000);
  afterAll(() => server.stop());
  beforeEach(async () => {
    workdir = await mkdtemp(join(tmpdir(), "exoloop-worker-"));
    const name = `worker ${crypto.randomUUID()}`;
    const environment = await sdk.beta.environments.create({ name, config: { type: "self_hosted" } });
    environmentId = environment.id;
    const path = `/v1/x/environments/${environmentId}/keys`;
    const key: { key: string } = await sdk.post(path, { body: { name: "test" } });
    environmentKey = key.key;
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop();
    await rm(workdir, { recursive: true, force: true });
  });

  function startWorker(): RunningWorker {
    const ending = new AbortController();
    // Without the organization's key: the worker has its environment's and nothing else.
    const client = new Anthropic({ baseURL: server.exoloop.url, apiKey: null, authToken: null, logLevel: "off" });
    const options = { environmentId, environmentKey, workdir, maxIdleMs: 300 };
    const ran = client.beta.environments.work
      .worker(options)
      .run(ending.signal)
      .catch(() => undefined);
    const worker = {
      async stop() {
        ending.abort();
        await ran;
      },
    };
    workers.push(worker);
    return worker;
  }

  async function newSession(policy: "always_allow" | "always_ask" = "always_allow"): Promise<string> {
    const agent = await sdk.beta.agents.create({
      name: "tester",
      model: "scripted",
      tools: [{ type: "agent_toolset_20260401", default_config: { permission_policy: { type: policy } } }],
    });
    return (await sdk.beta.sessions.create({ agent: agent.id, environment_id: environmentId })).id;
  }

  async function history(sessionId: string): Promise<SessionEvent[]> {
    const events: SessionEvent[] = [];
    for await (const event of sdk.beta.sessions.events.list(sessionId, { limit: 1000 })) events.push(event);
    return events;
  }

  async function eventually(
    sessionId: string,
    done: (events: readonly SessionEvent[]) => boolean,
    seconds = 60,
  ): Promise<SessionEvent[]> {
    let events: SessionEvent[] = [];
    for (const until = Date.now() + seconds * 1_000; Date.now() < until;) {
      events = await history(sessionId);
      if (done(events)) return events;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`not reached: ${events.map((event) => event.type).join(", ")}`);
  }

  const ended = (events: readonly SessionEvent[]) => {
    const last = events.at(-1);
    return last?.type === "session.status_idle" && last.stop_reason.type !== "requires_action";
  };
  const results = (events: readonly SessionEvent[]) =>
    events.flatMap((event) => (event.type === "user.tool_result" ? [event] : []));
  const textOf = ({ content }: { content?: readonly { type: string }[] }) =>
    (content ?? []).map((block) => ("text" in block ? String(block.text) : "")).join("");

  it("runs bash, write, read, edit, glob and grep where it is", async () => {
    startWorker();
    const sessionId = await newSession();
    await sdk.beta.sessions.events.send(sessionId, {
      events: [
        scriptedMessage([
          { toolCalls: [{ name: "bash", input: { command: "printf 'one\\ntwo\\n' > list.txt; pwd" } }] },
          {
            toolCalls: [
              { name: "write", input: { file_path: "notes/a.md", content: "# Notes\n" } },
              { name: "read", input: { file_path: "list.txt" } },
            ],
          },
          { toolCalls: [{ name: "edit", input: { file_path: "list.txt", old_string: "two", new_string: "three" } }] },
          { toolCalls: [{ name: "glob", input: { pattern: "**/*.md" } }] },
          { toolCalls: [{ name: "grep", input: { pattern: "thr.e" } }] },
          { toolCalls: [{ name: "bash", input: { command: "(exit 3)" } }] },
          { text: "All done." },
        ]),
      ],
    });
    const events = await eventually(sessionId, ended);
    const answers = results(events);
    expect(answers.map((event) => event.is_error)).toEqual([false, false, false, false, false, false, true]);
    expect(answers.map(textOf).map((text) => text.replaceAll(workdir, "."))).toEqual([
      expect.stringContaining("."),
      expect.stringContaining("notes/a.md"),
      "one\ntwo\n",
      expect.any(String),
      expect.stringContaining("notes/a.md"),
      expect.stringContaining("three"),
      expect.stringContaining("exit 3"),
    ]);
    expect(await readFile(join(workdir, "list.txt"), "utf8")).toBe("one\nthree\n");
    // No sandbox of this server was made, and nothing of it was asked for.
    expect((await sdk.beta.sessions.retrieve(sessionId)).status).toBe("idle");
    const sandboxes: { data: { session_id: string }[] } = await sdk.get("/v1/x/sandboxes");
    expect(sandboxes.data.map((sandbox) => sandbox.session_id)).not.toContain(sessionId);
    // The item ends a moment after the turn, and the next message makes another.
    await expect
      .poll(async () => (await sdk.beta.environments.work.list(environmentId)).data.map((item) => item.state), {
        timeout: 10_000,
      })
      .toEqual(["stopped"]);
    await sdk.beta.sessions.events.send(sessionId, {
      events: [
        scriptedMessage([{ toolCalls: [{ name: "bash", input: { command: "cat list.txt" } }] }, { text: "Yes." }]),
      ],
    });
    const again = await eventually(sessionId, (all) => ended(all) && results(all).length === 8);
    expect(textOf(results(again).at(-1) ?? {})).toContain("three");
  });

  it("waits for an approval before it runs what is asked about, and runs nothing that is denied", async () => {
    startWorker();
    const sessionId = await newSession("always_ask");
    await sdk.beta.sessions.events.send(sessionId, {
      events: [
        scriptedMessage([
          { toolCalls: [{ name: "bash", input: { command: "touch allowed" } }] },
          { toolCalls: [{ name: "bash", input: { command: "touch denied" } }] },
          { text: "Done." },
        ]),
      ],
    });
    const asked = (count: number) => (events: readonly SessionEvent[]) =>
      events.filter((event) => event.type === "agent.tool_use").length === count &&
      events.at(-1)?.type === "session.status_idle";
    const call = (events: readonly SessionEvent[]) =>
      events.findLast((event) => event.type === "agent.tool_use")?.id ?? "";
    const first = call(await eventually(sessionId, asked(1)));
    // Nobody needs a worker yet.
    expect((await sdk.beta.environments.work.list(environmentId)).data).toEqual([]);
    const early = { type: "user.tool_result" as const, tool_use_id: first, content: [] };
    await expect(sdk.beta.sessions.events.send(sessionId, { events: [early] })).rejects.toThrow("no call");
    const answer = (tool_use_id: string, result: "allow" | "deny") =>
      sdk.beta.sessions.events.send(sessionId, { events: [{ type: "user.tool_confirmation", tool_use_id, result }] });
    await answer(first, "allow");
    const second = call(await eventually(sessionId, asked(2)));
    await answer(second, "deny");
    const events = await eventually(sessionId, ended);
    expect(results(events).map((event) => [event.tool_use_id, event.is_error])).toEqual([
      [first, false],
      [second, true],
    ]);
    await readFile(join(workdir, "allowed"));
    await expect(readFile(join(workdir, "denied"))).rejects.toThrow();
  });
});

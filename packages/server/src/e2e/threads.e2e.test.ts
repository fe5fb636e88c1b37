/** Sub-agents with real sandboxes: each begins with a copy of the workspace that its session had when it gave the work. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scriptedMessage, startTestServer, type TestServer } from "./running.ts";

const bash = (command: string) => ({ name: "bash", input: { command } });
const work = (steps: readonly object[]) => ({
  name: "delegate",
  input: { agent: "helper", task: scriptedMessage(steps).content[0]?.text },
});

describe("a sub-agent", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  }, 60_000);
  afterAll(() => server.stop());

  async function createLead(): Promise<string> {
    const { agents, environments, sessions } = server.sdk.beta;
    const tools = [{ type: "agent_toolset_20260401" as const }];
    const helper = await agents.create({ name: "helper", model: "scripted", tools });
    const multiagent = { type: "coordinator" as const, agents: [helper.id] };
    const lead = await agents.create({ name: "lead", model: "scripted", tools, multiagent });
    const environment = await environments.create({ name: crypto.randomUUID() });
    return (await sessions.create({ agent: lead.id, environment_id: environment.id })).id;
  }

  async function run(sessionId: string, steps: readonly object[]): Promise<void> {
    const stream = await server.sdk.beta.sessions.events.stream(sessionId);
    await server.sdk.beta.sessions.events.send(sessionId, { events: [scriptedMessage(steps)] });
    for await (const event of stream) if (event.type === "session.status_idle") break;
  }

  const resultsOf = (events: readonly { readonly type: string; readonly content?: unknown }[]) =>
    events.filter((event) => event.type === "agent.tool_result").map((event) => JSON.stringify(event.content));

  it("sees the workspace as it was, changes its own, and is told of no replacement", { timeout: 60_000 }, async () => {
    const { sessions } = server.sdk.beta;
    const sessionId = await createLead();
    const change = "cat note.txt; echo changed > note.txt; echo mine > child.txt; cat note.txt";
    await run(sessionId, [
      { toolCalls: [bash("echo first > note.txt")] },
      // The snapshot of this one is still being taken when the work is given.
      { toolCalls: [bash("head -c 20000000 /dev/urandom > big.bin; echo from-the-lead > note.txt")] },
      { toolCalls: [work([{ toolCalls: [bash(change)] }, { text: "Changed." }])] },
      { toolCalls: [bash("cat note.txt; ls")] },
      { text: "Done." },
    ]);
    const [, thread] = (await sessions.threads.list(sessionId)).data;
    const query = { session_id: sessionId, limit: 100 };
    const [childResult] = resultsOf((await sessions.threads.events.list(thread?.id ?? "", query)).data);
    expect(childResult).toContain("from-the-lead\\nchanged");
    const own = resultsOf((await sessions.events.list(sessionId, { limit: 100 })).data);
    expect(own.at(-1)).toContain("from-the-lead");
    expect(own.at(-1)).not.toContain("child.txt");
    for (const result of [...own, childResult]) expect(result).not.toContain("sandbox_replaced");
    await seesItsOwnFilesAgain(sessionId, thread?.id ?? "");
    await sessions.delete(sessionId);
    const left = await fetch(`${server.exoloop.url}/v1/x/sandboxes`, {
      headers: { authorization: `Bearer ${server.apiKey}` },
    });
    expect(await left.json()).toEqual({ data: [] });
  });

  /** Given more work, a thread goes on in its own workspace. */
  async function seesItsOwnFilesAgain(sessionId: string, threadId: string): Promise<void> {
    const again = work([{ toolCalls: [bash("cat child.txt")] }, { text: "Still mine." }]);
    await run(sessionId, [
      { toolCalls: [{ ...again, input: { ...again.input, thread_id: threadId } }] },
      { text: "Done." },
    ]);
    const query = { session_id: sessionId, limit: 100 };
    const results = resultsOf((await server.sdk.beta.sessions.threads.events.list(threadId, query)).data);
    expect(results.at(-1)).toContain("mine");
  }
});

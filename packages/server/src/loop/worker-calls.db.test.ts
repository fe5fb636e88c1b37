/** Calls that are left to a worker: real Postgres, real engine, the scripted model; the test is the worker. */
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LogEvent } from "../sessions/event.ts";
import { archiveSession } from "../sessions/end-session.ts";
import type { Input } from "../sessions/input.ts";
import { acquire } from "../sandboxes/life/acquire.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { claimWork } from "../work/claim.ts";
import { stop } from "../work/leases.ts";
import type { AgentSnapshot } from "./context.ts";
import { delegate, insertParent, threadsOf } from "./testing-threads.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";

const asking: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];
const one = script([{ toolCalls: [{ name: "bash", input: { command: "ls" } }] }, { text: "Done." }]);

describe("a call at a worker", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  async function selfHosted(agent: Partial<AgentSnapshot> = {}): Promise<TestSession> {
    return hostedByWorkers(await insertTestSession(turns.test.database, agent));
  }
  async function hostedByWorkers(session: TestSession): Promise<TestSession> {
    await sql`update environments set config = '{"type":"self_hosted"}'
      where organization_id = ${session.organizationId}`.execute(turns.test.database);
    return session;
  }
  const states = async ({ sessionId }: TestSession) =>
    (
      await turns.test.database
        .selectFrom("work_items")
        .select("state")
        .where("session_id", "=", sessionId)
        .orderBy("created_at")
        .execute()
    ).map((row) => row.state);
  const lastCall = (events: readonly LogEvent[]) => events.findLast(({ type }) => type === "agent.tool_use")?.id ?? "";
  const resultOf = (callId: string, text = "a.txt"): Input => ({
    type: "user.tool_result",
    tool_use_id: callId,
    content: [{ type: "text", text }],
    is_error: false,
  });
  const poll = async (session: TestSession) => {
    const { environment_id: environmentId } = await turns.test.database
      .selectFrom("sessions")
      .select("environment_id")
      .where("id", "=", session.sessionId)
      .executeTakeFirstOrThrow();
    const { organizationId } = session;
    return claimWork(turns.dependencies, { organizationId, environmentId, reclaimOlderThanMs: 5_000 });
  };

  it("is shown, waited for and answered once, and nothing runs here", async () => {
    const session = await selfHosted();
    turns.ran.length = 0;
    await turns.send(session, one);
    const waiting = await turns.eventually(session, idleTimes(1));
    const call = lastCall(waiting);
    expect(waiting.map((event) => event.type).slice(-3)).toEqual([
      "agent.tool_use",
      "session.usage",
      "session.status_idle",
    ]);
    expect(waiting.at(-1)?.data?.["stop_reason"]).toEqual({ type: "requires_action", event_ids: [call] });
    expect(await states(session)).toEqual(["queued"]);
    await turns.send(session, resultOf(call));
    const events = await turns.eventually(session, idleTimes(2));
    expect(events.map((event) => event.type)).not.toContain("agent.tool_result");
    const [repeat] = await turns.send(session, resultOf(call));
    expect(events.map((event) => event.id)).toContain(repeat?.id);
    await expect(turns.send(session, resultOf(call, "b.txt"))).rejects.toThrow("answered already");
    await expect(turns.send(session, resultOf("sevt_unknown"))).rejects.toThrow("no call");
    expect(turns.ran).toEqual([]);
  });

  it("is not answered before it is approved, and needs no worker until then", async () => {
    const session = await selfHosted({ tools: asking });
    await turns.send(session, one);
    const call = lastCall(await turns.eventually(session, idleTimes(1)));
    expect(await states(session)).toEqual([]);
    await expect(turns.send(session, resultOf(call))).rejects.toThrow("no call");
    await turns.send(session, { type: "user.tool_confirmation", tool_use_id: call, result: "allow" });
    await turns.eventually(session, idleTimes(2));
    expect(await states(session)).toEqual(["queued"]);
    await turns.send(session, resultOf(call));
    await turns.eventually(session, idleTimes(3));
  });

  it("ends with an interrupt, as if its worker had said so; the worker is told to stop and comes too late", async () => {
    const session = await selfHosted();
    await turns.send(session, one);
    const call = lastCall(await turns.eventually(session, idleTimes(1)));
    const claimed = await poll(session);
    await turns.send(session, { type: "user.interrupt" });
    const events = await turns.eventually(session, idleTimes(2));
    const ended = events.filter((event) => event.type === "user.tool_result");
    expect(ended.map(({ data }) => [data?.["tool_use_id"], data?.["is_error"]])).toEqual([[call, true]]);
    expect(await states(session)).toEqual(["stopping"]);
    await expect(turns.send(session, resultOf(call))).rejects.toThrow("answered already");
    // What the next message asks for waits until that worker has ended.
    await turns.send(session, one);
    const again = lastCall(await turns.eventually(session, idleTimes(3)));
    expect(await states(session)).toEqual(["stopping"]);
    const address = { environmentId: claimed?.row.environment_id ?? "", workId: claimed?.row.id ?? "" };
    const principal = { organizationId: session.organizationId, apiKeyId: "key_1", scopes: ["admin"] };
    await stop(turns.dependencies, principal, address, true);
    await expect.poll(() => states(session), { timeout: 10_000 }).toEqual(["stopped", "queued"]);
    await turns.send(session, resultOf(again));
    await turns.eventually(session, idleTimes(4));
  });

  it("of a sub-agent is answered through the session, and ended there for its worker to see", async () => {
    const session = await hostedByWorkers(await insertParent(turns));
    const ls = { toolCalls: [{ name: "bash", input: { command: "ls" } }] };
    await turns.send(session, script([{ toolCalls: [delegate([ls, ls, { text: "Listed." }])] }, { text: "Done." }]));
    const first = lastCall(await turns.eventually(session, idleTimes(1)));
    expect(await states(session)).toEqual(["queued"]);
    await turns.send(session, resultOf(first));
    const waiting = await turns.eventually(session, idleTimes(2));
    const second = lastCall(waiting);
    const [thread] = await threadsOf(turns, session);
    expect(waiting.find((event) => event.id === second)?.data).toMatchObject({
      evaluated_permission: "allow",
      session_thread_id: thread?.row.id,
    });
    await poll(session);
    await turns.send(session, { type: "user.interrupt" });
    // The session rests before the thread has heard of it.
    const events = await turns.eventually(
      session,
      (types) => types.filter((type) => type === "user.tool_result").length === 2,
    );
    expect(
      events
        .filter((event) => event.type === "user.tool_result")
        .map(({ data }) => [data?.["tool_use_id"], data?.["is_error"], data?.["session_thread_id"]]),
    ).toEqual([
      [first, false, thread?.row.id],
      [second, true, thread?.row.id],
    ]);
    expect(await states(session)).toEqual(["stopping"]);
    await expect(turns.send(session, resultOf(second))).rejects.toThrow("answered already");
  });

  it("gets another worker when its own has stopped without a result", async () => {
    const session = await selfHosted();
    // A tool that this server does not have here, and every worker has.
    await turns.send(session, script([{ toolCalls: [{ name: "glob", input: { pattern: "*" } }] }, { text: "Done." }]));
    await turns.eventually(session, idleTimes(1));
    const claimed = await poll(session);
    const address = { environmentId: claimed?.row.environment_id ?? "", workId: claimed?.row.id ?? "" };
    const principal = { organizationId: session.organizationId, apiKeyId: "key_1", scopes: ["admin"] };
    await stop(turns.dependencies, principal, address, true);
    await expect.poll(() => states(session), { timeout: 10_000 }).toEqual(["stopped", "queued"]);
  });

  it("of a tool that no worker has is an error at once, by whatever name", async () => {
    const session = await selfHosted();
    turns.ran.length = 0;
    await turns.send(
      session,
      script([
        {
          toolCalls: [
            { name: "bash_output", input: {} },
            { name: "Bash", input: {} },
          ],
        },
        { text: "Done." },
      ]),
    );
    const events = await turns.eventually(session, idleTimes(1));
    const results = events.filter((event) => event.type === "agent.tool_result");
    expect(results.map(({ data }) => data?.["is_error"])).toEqual([true, true]);
    expect([await states(session), turns.ran]).toEqual([[], []]);
  });

  it("ends with its session, and has no sandbox", async () => {
    const session = await selfHosted();
    await turns.send(session, one);
    await turns.eventually(session, idleTimes(1));
    await poll(session);
    const { database, engine, notices } = turns.dependencies;
    const releaseSandbox = () => Promise.resolve();
    const principal = { organizationId: session.organizationId, apiKeyId: "key_1", scopes: ["admin"] };
    const dependencies = { database, engine, notices, releaseSandbox };
    await archiveSession(dependencies, principal, session.sessionId);
    expect(await states(session)).toEqual(["stopping"]);
    const sandboxes = { database, defaultProvider: "local" } as unknown as Parameters<typeof acquire>[0];
    await expect(acquire(sandboxes, session)).rejects.toThrow(SandboxUnavailableError);
  });
});

/** Whole turns: real Postgres, real engine, the scripted model; tools that count how often they ran. */
import { createId } from "@exoloop/protocol/ids";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import type { Engine } from "../engine/engine.ts";
import { createPgBossEngine } from "../engine/pg-boss-engine.ts";
import { createModels } from "../models/registry.ts";
import { admit, type Input } from "../sessions/inbox.ts";
import { appendAsDriver, appendUnderLock, claimSession, readLog } from "../sessions/log.ts";
import { type ClosableNoticeBoard, createNoticeBoard } from "../sessions/notice-board.ts";
import { lockSession } from "../sessions/locked-session.ts";
import { publicEvent, recordEvent } from "../sessions/event.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { createLogger } from "../telemetry/logger.ts";
import type { ReplayRule, Tool } from "../tools/tool.ts";
import type { AgentSnapshot } from "./context.ts";
import { driveTurn, type DriverDependencies } from "./driver.ts";

const ran: string[] = [];
const log = createLogger("silent");

function countingTool(name: string, replay: ReplayRule, parallel: boolean): Tool {
  return {
    definition: { name, description: name, inputSchema: { type: "object" } },
    replay,
    parallel,
    async run(input, context) {
      ran.push(name);
      if (input["waitForAbort"] === true && !context.abortSignal.aborted) {
        await new Promise<void>((resolve) => context.abortSignal.addEventListener("abort", () => resolve()));
        ran.push(`${name} aborted`);
      }
      const text = `${name}${context.resumed ? " resumed" : ""}${context.abortSignal.aborted ? " aborted" : ""}`;
      return { content: [{ type: "text", text }], isError: false };
    },
  };
}

const tools = [
  countingTool("read", "safe", true),
  countingTool("bash", "reattach", false),
  countingTool("write", "never", false),
];

const askFirst: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];

describe("a turn", () => {
  let test: TestDatabase;
  let engine: Engine;
  let notices: ClosableNoticeBoard;
  let dependencies: DriverDependencies;

  beforeAll(async () => {
    test = await createTestDatabase();
    const { database } = test;
    engine = createPgBossEngine({ connectionString: test.url, database, concurrency: 4, log });
    notices = await createNoticeBoard({ connectionString: test.url, log });
    dependencies = {
      database,
      engine,
      notices,
      log,
      models: createModels({}),
      tools: {
        definitions: tools.map((tool) => tool.definition),
        find: (name) => tools.find((tool) => tool.definition.name === name),
        run: (tool, input, context) => tool.run(input ?? {}, context),
      },
      toolContext: (claim, call, options) => ({
        toolUseId: call.toolUseId,
        actor: {
          organizationId: claim.organizationId,
          sessionId: claim.sessionId,
          toolUseId: call.toolUseId,
          via: "tool",
        },
        files: unused("files"),
        commands: unused("commands"),
        ...options,
      }),
    };
    await engine.start(({ sessionId }) => driveTurn(dependencies, sessionId));
  }, 60_000);

  afterAll(async () => {
    await engine.stop(1_000);
    await notices.close();
    await test.drop();
  });

  const send = (session: TestSession, ...inputs: Input[]) =>
    test.database
      .transaction()
      .execute(async (transaction) => {
        await lockSession(transaction, session.organizationId, session.sessionId);
        return admit(transaction, engine, session.sessionId, inputs);
      })
      .then((stored) => {
        notices.publish({ type: "appended", sessionId: session.sessionId, seq: stored.at(-1)?.seq ?? 0 });
        return stored;
      });

  const script = (steps: readonly object[]): Input => ({
    type: "user.message",
    content: [{ type: "text", text: ["```script", JSON.stringify(steps), "```"].join("\n") }],
  });

  /** Types and texts of the log once it satisfies the condition. */
  async function eventually(session: TestSession, done: (types: readonly string[]) => boolean) {
    for (let attempt = 0; attempt < 400; attempt += 1) {
      const events = await readLog(test.database, session.sessionId, 0);
      if (done(events.map((event) => event.type))) return events;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`not reached: ${(await readLog(test.database, session.sessionId, 0)).map((event) => event.type)}`);
  }
  const idleTimes = (count: number) => (types: readonly string[]) =>
    types.filter((type) => type === "session.status_idle").length === count;

  it("writes intent, effect and result in order, and the audit row with the intent", async () => {
    const session = await insertTestSession(test.database);
    await send(session, script([{ text: "I look.", toolCalls: [{ name: "read", input: {} }] }, { text: "Done." }]));
    const events = await eventually(session, idleTimes(1));
    expect(events.map((event) => event.type)).toEqual([
      "user.message",
      "session.status_running",
      "x.consumed",
      "span.model_request_start",
      "agent.message",
      "span.model_request_end",
      "agent.tool_use",
      "x.tool_started",
      "agent.tool_result",
      "span.model_request_start",
      "agent.message",
      "span.model_request_end",
      "session.status_idle",
    ]);
    const audit = await test.database
      .selectFrom("audit_log")
      .selectAll()
      .where("session_id", "=", session.sessionId)
      .execute();
    expect(audit.map((row) => [row.action, row.resource, row.decision])).toEqual([["tool.call", "read", "allow"]]);
    expect(audit[0]?.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it("waits for an approval without holding anything, then runs what was approved, once", async () => {
    const session = await insertTestSession(test.database, { tools: askFirst });
    ran.length = 0;
    await send(session, script([{ toolCalls: [{ name: "write", input: {} }] }, { text: "Done." }]));
    const waiting = await eventually(session, idleTimes(1));
    const call = waiting.find((event) => event.type === "agent.tool_use");
    expect(waiting.at(-1)?.data?.["stop_reason"]).toEqual({ type: "requires_action", event_ids: [call?.id] });
    expect(ran).toEqual([]);
    const answer: Input = { type: "user.tool_confirmation", tool_use_id: call?.id ?? "", result: "allow" };
    await send(session, answer);
    await eventually(session, idleTimes(2));
    const [repeat] = await send(session, answer);
    expect(repeat?.seq).toBe(waiting.length + 1);
    expect(ran).toEqual(["write"]);
    await expect(send(session, { ...answer, result: "deny" })).rejects.toThrow("answered already");
    await expect(send(session, { ...answer, tool_use_id: "sevt_unknown" })).rejects.toThrow("no call");
  });

  it("settles what a lost driver had started as each tool's rule says", async () => {
    const session = await insertTestSession(test.database);
    const claim = await claimSession(test.database, session.sessionId);
    if (claim === null) throw new Error("no claim");
    const calls = ["read", "bash", "write"].map((name) => ({
      type: "tool_call",
      callId: `c_${name}`,
      toolName: name,
      input: {},
    }));
    const ids = calls.map(() => createId("event"));
    const message = publicEvent("user.message", { content: [{ type: "text", text: "go" }] });
    const start = publicEvent("span.model_request_start", {});
    await appendAsDriver(test.database, claim, [
      message,
      publicEvent("session.status_running", {}),
      recordEvent("x.consumed", { event_ids: [message.id] }),
      start,
      publicEvent(
        "span.model_request_end",
        { model_request_start_id: start.id, is_error: false, model_usage: {} },
        { record: { content: calls, finish_reason: "tool_calls" } },
      ),
      ...calls.map((call, index) =>
        publicEvent(
          "agent.tool_use",
          { name: call.toolName, input: {}, evaluated_permission: "allow" },
          { id: ids[index] ?? "", record: { call_id: call.callId } },
        ),
      ),
      ...ids.map((id) => recordEvent("x.tool_started", { tool_use_id: id })),
    ]);
    ran.length = 0;
    await driveTurn(dependencies, session.sessionId);
    const events = await readLog(test.database, session.sessionId, 0);
    const results = events
      .filter((event) => event.type === "agent.tool_result")
      .map((event) => JSON.stringify(event.data));
    expect(results[0]).toContain("read resumed");
    expect(results[1]).toContain("bash resumed");
    expect(results[2]).toContain("outcome is unknown");
    expect(ran).toEqual(["read", "bash"]);
  });

  it("counts a model call that lost its driver and makes it again", async () => {
    const session = await insertTestSession(test.database);
    const claim = await claimSession(test.database, session.sessionId);
    if (claim === null) throw new Error("no claim");
    const message = publicEvent("user.message", { content: [{ type: "text", text: "hello" }] });
    await appendAsDriver(test.database, claim, [
      message,
      recordEvent("x.consumed", { event_ids: [message.id] }),
      publicEvent("span.model_request_start", {}),
    ]);
    await driveTurn(dependencies, session.sessionId);
    const ends = (await readLog(test.database, session.sessionId, 0)).filter(
      (event) => event.type === "span.model_request_end",
    );
    expect(ends.map((event) => event.data?.["is_error"])).toEqual([true, false]);
  });

  it("retries a failing model through the engine, and each retry is an event", async () => {
    const session = await insertTestSession(test.database);
    await send(session, script([{ text: "At last.", fault: { kind: "overloaded", times: 2, retryAfterMs: 50 } }]));
    const events = await eventually(session, idleTimes(1));
    const errors = events.filter((event) => event.type === "session.error");
    expect(errors.map((event) => event.data?.["error"])).toMatchObject([
      { type: "model_overloaded_error", retry_status: { type: "retrying" } },
      { type: "model_overloaded_error", retry_status: { type: "retrying" } },
    ]);
    expect(events.some((event) => event.type === "session.status_rescheduled")).toBe(true);
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  });

  it("interrupts a running tool and goes on with the next message", async () => {
    const session = await insertTestSession(test.database);
    await send(
      session,
      script([{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }, { text: "Not reached." }]),
    );
    await eventually(session, (types) => types.includes("x.tool_started"));
    await send(session, { type: "user.interrupt" });
    const interrupted = await eventually(session, idleTimes(1));
    expect(JSON.stringify(interrupted.find((event) => event.type === "agent.tool_result")?.data)).toContain("aborted");
    expect(interrupted.some((event) => event.type === "agent.message")).toBe(false);
    await send(session, script([{ text: "Here again." }]));
    const events = await eventually(session, idleTimes(2));
    expect(JSON.stringify(events.findLast((event) => event.type === "agent.message")?.data)).toContain("Here again.");
  });

  it("waits on where its wake-up came too early", async () => {
    const session = await insertTestSession(test.database);
    await send(session, script([{ text: "At last.", fault: { kind: "overloaded", retryAfterMs: 1_500 } }]));
    await eventually(session, (types) => types.includes("session.status_rescheduled"));
    await sql`delete from exoloop_jobs.job where name = 'wakes' and data->>'sessionId' = ${session.sessionId}`.execute(
      test.database,
    );
    await driveTurn(dependencies, session.sessionId);
    const events = await eventually(session, idleTimes(1));
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  });

  it("stops what runs when its session ends", async () => {
    const session = await insertTestSession(test.database);
    await send(session, script([{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }]));
    await eventually(session, (types) => types.includes("x.tool_started"));
    ran.length = 0;
    const [end] = await appendUnderLock(
      test.database,
      session.sessionId,
      [publicEvent("session.status_terminated", {})],
      { status: "terminated", fence: true },
    );
    notices.publish({ type: "appended", sessionId: session.sessionId, seq: end?.seq ?? 0 });
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual(["bash aborted"]);
    expect((await readLog(test.database, session.sessionId, 0)).at(-1)?.type).toBe("session.status_terminated");
  });

  it("runs no call with malformed arguments and tells the model why", async () => {
    const session = await insertTestSession(test.database);
    ran.length = 0;
    // Where the refusal shows a part of the arguments, one of these is cut in half.
    const steps = [
      { toolCalls: [{ name: "bash", input: { command: "😀".repeat(200) } }], fault: { kind: "malformed_arguments" } },
      {
        toolCalls: [{ name: "bash", input: { command: ` ${"😀".repeat(200)}` } }],
        fault: { kind: "malformed_arguments" },
      },
      { text: "Sorry." },
    ];
    await send(session, script(steps));
    const events = await eventually(session, idleTimes(1));
    expect(ran).toEqual([]);
    expect(JSON.stringify(events.find((event) => event.type === "agent.tool_result")?.data)).toContain(
      "not a JSON object",
    );
  });
});

function unused(name: string): never {
  return new Proxy(
    {},
    {
      get: () => {
        throw new Error(`${name} is not used here`);
      },
    },
  ) as never;
}

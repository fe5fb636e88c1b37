/** Whole turns: real Postgres, real engine, the scripted model; tools that count how often they ran. */
import { createId } from "@exoloop/protocol/ids";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Input } from "../sessions/input.ts";
import { appendAsDriver, claimSession, readLog } from "../sessions/log.ts";
import { publicEvent, recordEvent } from "../sessions/event.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import type { AgentSnapshot } from "./context.ts";
import { driveTurn } from "./driver.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";

const askFirst: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];

describe("a turn", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  it("writes intent, effect and result in order, and the audit row with the intent", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(
      session,
      script([{ text: "I look.", toolCalls: [{ name: "read", input: {} }] }, { text: "Done." }]),
    );
    const events = await turns.eventually(session, idleTimes(1));
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
      "session.usage",
      "session.status_idle",
    ]);
    const audit = await turns.test.database
      .selectFrom("audit_log")
      .selectAll()
      .where("session_id", "=", session.sessionId)
      .execute();
    expect(audit.map((row) => [row.action, row.resource, row.decision])).toEqual([["tool.call", "read", "allow"]]);
    expect(audit[0]?.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it("waits for an approval without holding anything, then runs what was approved, once", async () => {
    const session = await insertTestSession(turns.test.database, { tools: askFirst });
    turns.ran.length = 0;
    await turns.send(session, script([{ toolCalls: [{ name: "write", input: {} }] }, { text: "Done." }]));
    const waiting = await turns.eventually(session, idleTimes(1));
    const call = waiting.find((event) => event.type === "agent.tool_use");
    expect(waiting.at(-1)?.data?.["stop_reason"]).toEqual({ type: "requires_action", event_ids: [call?.id] });
    expect(turns.ran).toEqual([]);
    const answer: Input = { type: "user.tool_confirmation", tool_use_id: call?.id ?? "", result: "allow" };
    await turns.send(session, answer);
    await turns.eventually(session, idleTimes(2));
    const [repeat] = await turns.send(session, answer);
    expect(repeat?.seq).toBe(waiting.length + 1);
    expect(turns.ran).toEqual(["write"]);
    await expect(turns.send(session, { ...answer, result: "deny" })).rejects.toThrow("answered already");
    await expect(turns.send(session, { ...answer, tool_use_id: "sevt_unknown" })).rejects.toThrow("no call");
  });

  it("takes the same result of a custom tool twice as one, and another one not at all", async () => {
    const custom = { type: "custom" as const, name: "ask_person", description: "Asks.", input_schema: {} };
    const session = await insertTestSession(turns.test.database, { tools: [custom] });
    await turns.send(session, script([{ toolCalls: [{ name: "ask_person", input: {} }] }, { text: "Done." }]));
    const waiting = await turns.eventually(session, idleTimes(1));
    const call = waiting.find((event) => event.type === "agent.custom_tool_use");
    const result = (value: string): Input => ({
      type: "user.custom_tool_result",
      custom_tool_use_id: call?.id ?? "",
      content: [{ type: "text", text: value }],
    });
    const [first] = await turns.send(session, result("42"));
    const [repeat] = await turns.send(session, result("42"));
    expect(repeat?.seq).toBe(first?.seq);
    await expect(turns.send(session, result("43"))).rejects.toThrow("answered already");
    await turns.eventually(session, idleTimes(2));
  });

  it("settles what a lost driver had started as each tool's rule says", async () => {
    const session = await insertTestSession(turns.test.database);
    const claim = await claimSession(turns.test.database, session.sessionId);
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
    await appendAsDriver(turns.test.database, claim, [
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
    turns.ran.length = 0;
    await driveTurn(turns.dependencies, session.sessionId);
    const events = await readLog(turns.test.database, session.sessionId, 0);
    const results = events
      .filter((event) => event.type === "agent.tool_result")
      .map((event) => JSON.stringify(event.data));
    expect(results[0]).toContain("read resumed");
    expect(results[1]).toContain("bash resumed");
    expect(results[2]).toContain("outcome is unknown");
    expect(turns.ran).toEqual(["read", "bash"]);
  });

  it("counts a model call that lost its driver and makes it again", async () => {
    const session = await insertTestSession(turns.test.database);
    const claim = await claimSession(turns.test.database, session.sessionId);
    if (claim === null) throw new Error("no claim");
    const message = publicEvent("user.message", { content: [{ type: "text", text: "hello" }] });
    await appendAsDriver(turns.test.database, claim, [
      message,
      recordEvent("x.consumed", { event_ids: [message.id] }),
      publicEvent("span.model_request_start", {}),
    ]);
    await driveTurn(turns.dependencies, session.sessionId);
    const ends = (await readLog(turns.test.database, session.sessionId, 0)).filter(
      (event) => event.type === "span.model_request_end",
    );
    expect(ends.map((event) => event.data?.["is_error"])).toEqual([true, false]);
  });

  it("runs no call with malformed arguments and tells the model why", async () => {
    const session = await insertTestSession(turns.test.database);
    turns.ran.length = 0;
    // Where the refusal shows a part of the arguments, one of these is cut in half.
    const steps = [
      { toolCalls: [{ name: "bash", input: { command: "😀".repeat(200) } }], fault: { kind: "malformed_arguments" } },
      {
        toolCalls: [{ name: "bash", input: { command: ` ${"😀".repeat(200)}` } }],
        fault: { kind: "malformed_arguments" },
      },
      { text: "Sorry." },
    ];
    await turns.send(session, script(steps));
    const events = await turns.eventually(session, idleTimes(1));
    expect(turns.ran).toEqual([]);
    expect(JSON.stringify(events.find((event) => event.type === "agent.tool_result")?.data)).toContain(
      "not a JSON object",
    );
  });
});

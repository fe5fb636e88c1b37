/** An approved call: policy is asked again when it runs. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { insertTestSession } from "../sessions/testing-database.ts";
import type { AgentSnapshot } from "./context.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";
import { resultTexts } from "./testing-threads.ts";

const toolset = (enabled: boolean): AgentSnapshot["tools"] => [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];

describe("an approved call", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  it("does not run when policy denies it by then, and the audit log says so", async () => {
    const { database } = turns.test;
    const session = await insertTestSession(database, { tools: toolset(true) });
    await turns.send(session, script([{ toolCalls: [{ name: "write", input: { a: 1 } }] }, { text: "I see." }]));
    const asked = await turns.eventually(session, idleTimes(1));
    const { agent } = await database
      .selectFrom("sessions")
      .select("agent")
      .where("id", "=", session.sessionId)
      .executeTakeFirstOrThrow();
    const changed = JSON.stringify({ ...(agent as AgentSnapshot), tools: toolset(false) });
    await database.updateTable("sessions").set({ agent: changed }).where("id", "=", session.sessionId).execute();
    const call = asked.find((event) => event.type === "agent.tool_use");
    await turns.send(session, { type: "user.tool_confirmation", tool_use_id: call?.id ?? "", result: "allow" });
    const events = await turns.eventually(session, idleTimes(2));
    expect(turns.ran).toEqual([]);
    expect(resultTexts(events)).toEqual([expect.stringContaining("not allowed by policy")]);
    const audit = await database
      .selectFrom("audit_log")
      .select(["decision", "digest"])
      .where("session_id", "=", session.sessionId)
      .orderBy("id")
      .execute();
    expect(audit.map(({ decision }) => decision)).toEqual(["ask", "deny"]);
    expect(new Set(audit.map(({ digest }) => digest)).size).toBe(1);
  });
});

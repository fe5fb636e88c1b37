/** Approvals that nobody gives: their time ends by itself, and the session goes on with that answer. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { wakeOlderSessions } from "../sessions/protocol-sweep.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import type { AgentSnapshot } from "./context.ts";
import { loopProtocolVersion } from "./protocol-version.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";
import { delegate, insertParent, resultTexts, threadsOf } from "./testing-threads.ts";

const approvalMs = 700;
const tools: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];
const asking = [
  {
    toolCalls: [
      { name: "write", input: { a: 1 } },
      { name: "write", input: { a: 2 } },
    ],
  },
  { text: "I see." },
];

let turns: TurnTest;
beforeAll(async () => {
  turns = await startTurnTest({ approvalMs });
}, 60_000);
afterAll(() => turns.stop());

it("are denied when their time is over, and a later answer is told so", async () => {
  turns.ran.length = 0;
  const session = await insertTestSession(turns.test.database, { tools });
  await turns.send(session, script(asking));
  const asked = await turns.eventually(session, idleTimes(1));
  expect(asked.at(-1)?.data?.["stop_reason"]).toMatchObject({ type: "requires_action" });
  const events = await turns.eventually(session, idleTimes(2));
  expect(turns.ran).toEqual([]);
  const answers = events.filter(({ type }) => type === "user.tool_confirmation");
  const calls = events.filter(({ type }) => type === "agent.tool_use");
  expect(answers.map(({ data }) => data)).toEqual(
    calls.map(({ id }) => ({
      tool_use_id: id,
      result: "deny",
      deny_message: expect.stringMatching(/^Nobody approved this call until \d{4}-.*Z/),
      x_exoloop: { expired: true },
    })),
  );
  for (const [index, answer] of answers.entries()) {
    const waited = answer.createdAt.getTime() - (calls[index]?.createdAt.getTime() ?? 0);
    expect(waited).toBeGreaterThanOrEqual(approvalMs);
  }
  expect(resultTexts(events)).toEqual(Array(2).fill(expect.stringContaining("Nobody approved")));
  expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  const late = turns.send(session, {
    type: "user.tool_confirmation",
    tool_use_id: calls[0]?.id ?? "",
    result: "allow",
  });
  await expect(late).rejects.toThrow("has been answered already");
});

it("that were given in time do not expire afterwards; the others do, at their own time", async () => {
  turns.ran.length = 0;
  const session = await insertTestSession(turns.test.database, { tools });
  await turns.send(session, script(asking));
  const asked = await turns.eventually(session, idleTimes(1));
  const [first, second] = asked.filter(({ type }) => type === "agent.tool_use").map(({ id }) => id);
  await turns.send(session, { type: "user.tool_confirmation", tool_use_id: first ?? "", result: "allow" });
  const events = await turns.eventually(
    session,
    (types) => types.at(-1) === "session.status_idle" && idleTimes(3)(types),
  );
  expect(turns.ran).toEqual(["write"]);
  const expired = events
    .filter(({ data }) => data?.["x_exoloop"] !== undefined)
    .map(({ data }) => data?.["tool_use_id"]);
  expect(expired).toEqual([second]);
  await new Promise((resolve) => setTimeout(resolve, approvalMs));
  expect(await turns.eventually(session, idleTimes(3))).toHaveLength(events.length);
});

it("that were asked for before approvals expired end after the upgrade", async () => {
  turns.ran.length = 0;
  const { database } = turns.test;
  const session = await insertTestSession(database, { tools });
  await turns.send(session, script(asking));
  await turns.eventually(session, idleTimes(1));
  // As an older version left it: nothing wakes it.
  await sql`delete from exoloop_jobs.job where name = 'wakes'`.execute(database);
  const older = { protocol_version: loopProtocolVersion - 1 };
  await database.updateTable("sessions").set(older).where("id", "=", session.sessionId).execute();
  await new Promise((resolve) => setTimeout(resolve, 2 * approvalMs));
  expect(await turns.eventually(session, () => true)).toEqual(await turns.eventually(session, idleTimes(1)));
  expect(await wakeOlderSessions(database, turns.dependencies.engine, loopProtocolVersion)).toBe(1);
  const events = await turns.eventually(session, idleTimes(2));
  expect(events.filter(({ type }) => type === "user.tool_confirmation")).toHaveLength(2);
  expect(await wakeOlderSessions(database, turns.dependencies.engine, loopProtocolVersion)).toBe(0);
});

it("of a thread end there, and its session goes on", async () => {
  turns.ran.length = 0;
  const session = await insertParent(turns, [{ name: "helper", tools }]);
  const work = [{ toolCalls: [{ name: "write", input: {} }] }, { text: "It was not allowed." }];
  await turns.send(session, script([{ toolCalls: [delegate(work)] }, { text: "Then not." }]));
  const events = await turns.eventually(session, idleTimes(2));
  expect(turns.ran).toEqual([]);
  expect(resultTexts(events)).toEqual([expect.stringContaining("It was not allowed.")]);
  const [thread] = await threadsOf(turns, session);
  expect(thread?.events.filter(({ type }) => type === "user.tool_confirmation")).toHaveLength(1);
  const asked = events.find(({ data }) => data?.["evaluated_permission"] === "ask");
  const late = turns.send(session, { type: "user.tool_confirmation", tool_use_id: asked?.id ?? "", result: "allow" });
  await expect(late).rejects.toThrow("has been answered already");
});

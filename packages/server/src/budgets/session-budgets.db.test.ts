/** A session's own budget in real turns: reached, parked, raised, and on from where it stood. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createId } from "@exoloop/protocol/ids";
import type { BudgetLimitsPatch } from "@exoloop/protocol/budgets";
import type { AgentSnapshot } from "../loop/context.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "../loop/testing.ts";
import { requirePrices } from "../sessions/session-budget.ts";
import { createSessionService } from "../sessions/service.ts";
import { noSandboxes, type TestSession } from "../sessions/testing-database.ts";
import { insertSession, readLedger, sumLogs } from "./testing.ts";

const work = script([
  { text: "One.", toolCalls: [{ name: "write", input: { sleepMs: 60, awakeMs: 1_500 } }] },
  { text: "Done." },
]);

let turns: TurnTest;
beforeAll(async () => {
  turns = await startTurnTest();
}, 60_000);
afterAll(() => turns.stop());

function service() {
  const { database } = turns.test;
  const { engine, notices } = turns.dependencies;
  return createSessionService({ database, engine, notices, isPriced: () => true, ...noSandboxes });
}

function raise({ organizationId, sessionId }: TestSession, limits: BudgetLimitsPatch) {
  const principal = { organizationId, apiKeyId: "key_1", scopes: ["admin"] };
  return service().update(principal, sessionId, { budget: { limits } });
}

describe("a session's budget", () => {
  it.each([
    ["tokens", { tokens: 1 }, { tokens: 100_000 }],
    ["cost_usd", { costMicros: 1 }, { cost_usd: 100 }],
    ["wall_seconds", { wallSeconds: 0.05 }, { wall_seconds: 600 }],
    ["steps", { steps: 2 }, { steps: 100 }],
    ["sandbox_seconds", { sandboxSeconds: 1.5 }, { sandbox_seconds: null }],
  ] as const)("of %s parks the session where it stands, and raising it lets it go on", async (kind, budget, raised) => {
    const session = await insertSession(turns.test.database, { budget });
    turns.ran.length = 0;
    await turns.send(session, work);
    const parked = await turns.eventually(session, idleTimes(1));
    const idle = parked.at(-1);
    expect(idle?.data).toMatchObject({
      stop_reason: { type: "budget_reached" },
      x_exoloop: { budget_reached: { scope: "session", kind, resets_at: null } },
    });
    expect(parked.map((event) => event.type)).not.toContain("session.error");
    expect(parked.filter((event) => event.type === "session.usage")).toHaveLength(1);
    await raise(session, raised);
    const events = await turns.eventually(session, idleTimes(2));
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    expect(events.filter((event) => event.type === "agent.message")).toHaveLength(2);
    expect(turns.ran).toEqual(["write"]);
    const ledger = await readLedger(turns.test.database, session.organizationId);
    expect(ledger["organization"]?.steps).toBe(3);
  });

  it("that is reached between a model call and its tool calls leaves them open, and they run once", async () => {
    const session = await insertSession(turns.test.database, { budget: { steps: 1 } });
    turns.ran.length = 0;
    const call = { name: "write", input: {} };
    await turns.send(session, script([{ toolCalls: [call, { name: "bash", input: {} }] }, { text: "Done." }]));
    const parked = await turns.eventually(session, idleTimes(1));
    expect(parked.at(-1)?.data?.["stop_reason"]).toEqual({ type: "budget_reached" });
    expect(turns.ran).toEqual([]);
    // A message waits until the open calls have their results.
    await turns.send(session, { type: "user.message", content: [{ type: "text", text: "And?" }] });
    await turns.eventually(session, (types) => types.at(-1) === "user.message");
    await raise(session, { steps: 50 });
    await turns.eventually(session, idleTimes(2));
    expect(turns.ran).toEqual(["write", "bash"]);
  });

  it("is shown with what is used, and the event that ends a rest says what it was", async () => {
    const session = await insertSession(turns.test.database, { budget: { steps: 2, costMicros: 50_000_000 } });
    await turns.send(session, work);
    const events = await turns.eventually(session, idleTimes(1));
    const usage = events.find((event) => event.type === "session.usage")?.data;
    expect(usage).toMatchObject({ budget: { type: "limit", max_list_cost: { amount: "5000", currency: "USD" } } });
    const principal = { organizationId: session.organizationId, apiKeyId: "key_1", scopes: [] };
    const row = await service().get(principal, session.sessionId);
    expect(row.budget).toEqual({ steps: 2, costMicros: 50_000_000 });
    expect(row.usage).toMatchObject({ steps: 2, sandboxAwakeMs: 1_500 });
    await raise(session, { steps: 3, tokens: 1_000_000 });
    const updated = (await turns.eventually(session, idleTimes(2))).find((event) => event.type === "session.updated");
    expect(updated?.data).toEqual({
      x_exoloop: { budget: { limits: { steps: 3, tokens: 1_000_000, cost_usd: 50 } } },
    });
  });

  it("is shared with its threads: what they use counts for it, once", async () => {
    const { database } = turns.test;
    const helper = { name: "helper", system: null, model: { id: "scripted/inline" }, tools: [] };
    const reference = { ...helper, id: createId("agent"), version: 1 };
    const multiagent: NonNullable<AgentSnapshot["multiagent"]> = { type: "coordinator", agents: [reference] };
    const session = await insertSession(database, { budget: { steps: 20 }, agent: { multiagent } });
    const { organizationId } = session;
    await database
      .insertInto("agents")
      .values({ id: reference.id, organization_id: organizationId, latest_version: 1 })
      .execute();
    const principal = { organizationId, apiKeyId: "key_1", scopes: [] };
    // Three steps of each: a call that nobody can run counts like any other.
    const part = [{ toolCalls: [{ name: "none", input: {} }] }, { text: "My part." }];
    const task = ["```script", JSON.stringify(part), "```"].join("\n");
    const call = { name: "delegate", input: { agent: "helper", task } };
    await turns.send(session, script([{ toolCalls: [call, call] }, { text: "Done." }]));
    const events = await turns.eventually(session, idleTimes(1));
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    const children = await database
      .selectFrom("sessions")
      .select(["budget", "created_by"])
      .where("parent_session_id", "=", session.sessionId)
      .execute();
    // Money could only be limited if the helper's model had a price too.
    const { agent } = await service().get(principal, session.sessionId);
    expect(() => requirePrices(agent, (model) => model === "scripted")).toThrow("scripted/inline");
    expect(() => requirePrices(agent, () => true)).not.toThrow();
    // 19 of 20 steps were left, and both began together.
    expect(children.map((child) => child.budget)).toEqual([{ steps: 9 }, { steps: 9 }]);
    expect(children.map((child) => child.created_by)).toEqual([session.createdBy, session.createdBy]);
    const row = await service().get(principal, session.sessionId);
    // Two model calls and two results of its own.
    expect(row.usage.steps).toBe(4 + 3 + 3);
    const ledger = await readLedger(database, organizationId);
    const { runningMs: _running, ...sums } = await sumLogs(database, organizationId);
    expect(sums.steps).toBe(10);
    expect(ledger["organization"]).toMatchObject(sums);
    expect(ledger["user"]).toEqual(ledger["organization"]);
  });
});

/** Waiting for another session's end: registration, wakes, races. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withTransaction } from "../db/database.ts";
import { publicEvent } from "../sessions/event.ts";
import { appendUnderLock, readLog } from "../sessions/log.ts";
import { createSessionService } from "../sessions/service.ts";
import { insertTestSession, noSandboxes, type TestSession } from "../sessions/testing-database.ts";
import { wakeWaiters } from "../sessions/waits.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";
import { isParked, resultsOf } from "./testing-events.ts";

const done = { text: "Done." };
const waitsFor = (sessionId: string, more: object = {}) => ({
  toolCalls: [{ name: "wait_for", input: { session_id: sessionId, ...more } }],
});

describe("a session that waits for another", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  /** Two sessions of one organization. */
  async function pair(): Promise<readonly [TestSession, TestSession]> {
    const waiter = await insertTestSession(turns.test.database);
    const target = await insertTestSession(turns.test.database);
    await turns.test.database
      .updateTable("sessions")
      .set({ organization_id: waiter.organizationId })
      .where("id", "=", target.sessionId)
      .execute();
    return [waiter, { ...target, organizationId: waiter.organizationId }];
  }
  const service = () => createSessionService({ isPriced: () => true, ...turns.dependencies, ...noSandboxes });
  const principalOf = ({ organizationId }: TestSession) => ({ organizationId, apiKeyId: "key_1", scopes: [] });
  const slowly = (milliseconds: number) => script([{ text: "Slow.", delayMs: milliseconds }]);

  it("goes on when the other comes to rest, also when that was before", async () => {
    const [waiter, target] = await pair();
    await turns.send(target, slowly(1_000));
    await turns.send(waiter, script([waitsFor(target.sessionId), waitsFor(target.sessionId), done]));
    await turns.eventually(waiter, isParked);
    const events = await turns.eventually(waiter, idleTimes(1));
    const text = `The session ${target.sessionId} has come to rest.`;
    expect(resultsOf(events)).toEqual([text, text]);
    expect(events.filter((event) => event.type === "session.status_rescheduled")).toHaveLength(1);
    expect(await turns.test.database.selectFrom("session_waits").selectAll().execute()).toEqual([]);
  });

  it("does not take for rest that the other has not begun, or asks a question", async () => {
    const [waiter, target] = await pair();
    const ask = { type: "custom" as const, name: "ask_person", description: "Asks.", input_schema: {} };
    await turns.test.database
      .updateTable("sessions")
      .set({ agent: JSON.stringify({ name: "asks", system: null, model: { id: "scripted" }, tools: [ask] }) })
      .where("id", "=", target.sessionId)
      .execute();
    await turns.send(waiter, script([waitsFor(target.sessionId), done]));
    await turns.eventually(waiter, isParked);
    await turns.send(target, script([{ toolCalls: [{ name: "ask_person", input: {} }] }, done]));
    const asked = await turns.eventually(target, idleTimes(1));
    await sleep(500);
    expect(resultsOf(await readLog(turns.test.database, waiter.sessionId, 0))).toEqual([]);
    const call = asked.find((event) => event.type === "agent.custom_tool_use");
    await turns.send(target, { type: "user.custom_tool_result", custom_tool_use_id: call?.id ?? "", content: [] });
    expect(resultsOf(await turns.eventually(waiter, idleTimes(1)))).toEqual([expect.stringContaining("come to rest")]);
  });

  it("does not take for rest that the other has a message which it has not begun with", async () => {
    const [waiter, target] = await pair();
    await turns.send(target, script([{ text: "First." }]));
    await turns.eventually(target, idleTimes(1));
    // Admitted, and no turn has taken it yet.
    const message = publicEvent("user.message", { content: [{ type: "text", text: "More." }] });
    await turns.test.database
      .transaction()
      .execute((transaction) => appendUnderLock(transaction, target.sessionId, [message]));
    await turns.send(waiter, script([waitsFor(target.sessionId, { timeout_seconds: 1 }), done]));
    expect(resultsOf(await turns.eventually(waiter, idleTimes(1)))).toEqual([expect.stringContaining("timed out")]);
  });

  it("takes for rest that what came last was passed on to a thread", async () => {
    const [waiter, target] = await pair();
    await turns.send(target, script([{ text: "First." }]));
    await turns.eventually(target, idleTimes(1));
    const interrupt = publicEvent("user.interrupt", {}, { record: { passed_on: true } });
    await turns.test.database
      .transaction()
      .execute((transaction) => appendUnderLock(transaction, target.sessionId, [interrupt]));
    await turns.send(waiter, script([waitsFor(target.sessionId, { timeout_seconds: 1 }), done]));
    expect(resultsOf(await turns.eventually(waiter, idleTimes(1)))).toEqual([expect.stringContaining("come to rest")]);
  });

  it("goes on when the other is archived or deleted", async () => {
    const [waiter, archived] = await pair();
    await turns.send(archived, slowly(30_000));
    await turns.send(waiter, script([waitsFor(archived.sessionId), done]));
    await turns.eventually(waiter, isParked);
    await service().archive(principalOf(archived), archived.sessionId);
    expect(resultsOf(await turns.eventually(waiter, idleTimes(1)))).toEqual([
      `The session ${archived.sessionId} has ended.`,
    ]);
    const [second, deleted] = await pair();
    await turns.send(deleted, slowly(30_000));
    await turns.send(second, script([waitsFor(deleted.sessionId), done]));
    await turns.eventually(second, isParked);
    await service().delete(principalOf(deleted), deleted.sessionId);
    expect(resultsOf(await turns.eventually(second, idleTimes(1)))).toEqual([
      expect.stringMatching(/has ended|no session/),
    ]);
  });

  it("times out, and says so as an error", async () => {
    const [waiter, target] = await pair();
    await turns.send(target, slowly(5_000));
    await turns.send(waiter, script([waitsFor(target.sessionId, { timeout_seconds: 1 }), done]));
    const events = await turns.eventually(waiter, idleTimes(1));
    expect(resultsOf(events)).toEqual([expect.stringMatching(/^Nothing came until .*: the wait timed out\.$/)]);
    expect(events.find((event) => event.type === "agent.tool_result")?.data?.["is_error"]).toBe(true);
  });

  it("waits for the one that waits for it until a timeout ends the circle", async () => {
    const [one, other] = await pair();
    await turns.send(one, script([waitsFor(other.sessionId, { timeout_seconds: 2 }), done]));
    await turns.send(other, script([waitsFor(one.sessionId, { timeout_seconds: 60 }), done]));
    await Promise.all([turns.eventually(one, isParked), turns.eventually(other, isParked)]);
    expect(resultsOf(await turns.eventually(one, idleTimes(1)))).toEqual([expect.stringContaining("timed out")]);
    expect(resultsOf(await turns.eventually(other, idleTimes(1)))).toEqual([expect.stringContaining("come to rest")]);
  });

  it("sees no session of another organization, no thread, and not itself", async () => {
    const [waiter, thread] = await pair();
    const foreign = await insertTestSession(turns.test.database);
    await turns.test.database
      .updateTable("sessions")
      .set({ parent_session_id: waiter.sessionId })
      .where("id", "=", thread.sessionId)
      .execute();
    const targets = [foreign.sessionId, thread.sessionId, "sesn_unknown"];
    await turns.send(waiter, script([...targets, waiter.sessionId].map((id) => waitsFor(id)).concat([done as never])));
    expect(resultsOf(await turns.eventually(waiter, idleTimes(1)))).toEqual([
      ...targets.map(() => "wait_for: there is no session with this session_id."),
      "wait_for: a session cannot wait for itself.",
    ]);
  });

  it("is not passed over where the other comes to rest while it registers", async () => {
    const [waiter, target] = await pair();
    let rest: () => void = () => undefined;
    const hold = new Promise<void>((resolve) => (rest = resolve));
    // The target's last append, held open after it has looked for those that wait.
    const resting = withTransaction(turns.test.database, async (transaction) => {
      const message = publicEvent("user.message", { content: [] });
      const idle = publicEvent("session.status_idle", { stop_reason: { type: "end_turn" }, stop_details: null });
      await appendUnderLock(transaction, target.sessionId, [message, idle], { status: "idle" });
      await wakeWaiters(transaction, turns.dependencies.engine, target);
      await hold;
    });
    await sleep(100);
    await turns.send(waiter, script([waitsFor(target.sessionId, { timeout_seconds: 3 }), done]));
    await turns.eventually(waiter, (types) => types.includes("x.wait_started"));
    await sleep(500);
    rest();
    await resting;
    expect(resultsOf(await turns.eventually(waiter, idleTimes(1)))).toEqual([expect.stringContaining("come to rest")]);
  });
});

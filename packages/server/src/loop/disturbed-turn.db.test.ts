/** Turns that are retried, interrupted, or whose session ends. */
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { publicEvent } from "../sessions/event.ts";
import { appendUnderLock, readLog } from "../sessions/log.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { driveTurn } from "./driver.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";

describe("a disturbed turn", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  it("retries a failing model through the engine, and each retry is an event", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(
      session,
      script([{ text: "At last.", fault: { kind: "overloaded", times: 2, retryAfterMs: 50 } }]),
    );
    const events = await turns.eventually(session, idleTimes(1));
    const errors = events.filter((event) => event.type === "session.error");
    expect(errors.map((event) => event.data?.["error"])).toMatchObject([
      { type: "model_overloaded_error", retry_status: { type: "retrying" } },
      { type: "model_overloaded_error", retry_status: { type: "retrying" } },
    ]);
    expect(events.some((event) => event.type === "session.status_rescheduled")).toBe(true);
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  });

  it("waits on where its wake-up came too early", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ text: "At last.", fault: { kind: "overloaded", retryAfterMs: 1_500 } }]));
    await turns.eventually(session, (types) => types.includes("session.status_rescheduled"));
    await sql`delete from exoloop_jobs.job where name = 'wakes' and data->>'sessionId' = ${session.sessionId}`.execute(
      turns.test.database,
    );
    await driveTurn(turns.dependencies, session.sessionId);
    const events = await turns.eventually(session, idleTimes(1));
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  });

  it("interrupts a running tool and goes on with the next message", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(
      session,
      script([{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }, { text: "Not reached." }]),
    );
    await turns.eventually(session, (types) => types.includes("x.tool_started"));
    await turns.send(session, { type: "user.interrupt" });
    const interrupted = await turns.eventually(session, idleTimes(1));
    expect(JSON.stringify(interrupted.find((event) => event.type === "agent.tool_result")?.data)).toContain("aborted");
    expect(interrupted.some((event) => event.type === "agent.message")).toBe(false);
    await turns.send(session, script([{ text: "Here again." }]));
    const events = await turns.eventually(session, idleTimes(2));
    expect(JSON.stringify(events.findLast((event) => event.type === "agent.message")?.data)).toContain("Here again.");
  });

  it("takes a call up again whose database went away, and tells the model nothing of it", async () => {
    const session = await insertTestSession(turns.test.database);
    const away = Object.assign(new Error("terminating connection"), { code: "57P01" });
    vi.spyOn(turns.dependencies.tools, "run").mockRejectedValueOnce(away);
    await turns.send(session, script([{ toolCalls: [{ name: "bash", input: {} }] }, { text: "Done." }]));
    const events = await turns.eventually(session, idleTimes(1));
    const results = events.filter((event) => event.type === "agent.tool_result");
    expect(results.map((event) => event.data?.["content"])).toEqual([[{ type: "text", text: "bash resumed" }]]);
  });

  it("stops what runs when its session ends", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }]));
    await turns.eventually(session, (types) => types.includes("x.tool_started"));
    turns.ran.length = 0;
    const [end] = await appendUnderLock(
      turns.test.database,
      session.sessionId,
      [publicEvent("session.status_terminated", {})],
      { status: "terminated", fence: true },
    );
    turns.notices.publish({ type: "appended", sessionId: session.sessionId, seq: end?.seq ?? 0 });
    await expect.poll(() => turns.ran, { timeout: 10_000 }).toEqual(["bash aborted"]);
    expect((await readLog(turns.test.database, session.sessionId, 0)).at(-1)?.type).toBe("session.status_terminated");
  });
});

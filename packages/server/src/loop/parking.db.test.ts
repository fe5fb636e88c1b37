/** Parked calls: nothing is held while they wait, and what wakes them is one transaction. */
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPgBossEngine } from "../engine/pg-boss-engine.ts";
import type { LogEvent } from "../sessions/event.ts";
import type { Input } from "../sessions/input.ts";
import { readLog } from "../sessions/log.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { driveTurn } from "./driver.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";
import { consumedBy, isParked, resultsOf } from "./testing-events.ts";

const waitFor = (input: object) => ({ name: "wait_for", input });
const done = { text: "Done." };

const says = (text: string, delivery?: "steer" | "queue"): Input => ({
  type: "user.message",
  content: [{ type: "text", text }],
  ...(delivery === undefined ? {} : { x_exoloop: { delivery } }),
});

async function statusOf(turns: TurnTest, { sessionId }: TestSession): Promise<string | undefined> {
  const row = await turns.test.database
    .selectFrom("sessions")
    .select("status")
    .where("id", "=", sessionId)
    .executeTakeFirst();
  return row?.status;
}

/** When the session is to be woken, in milliseconds since the epoch. */
async function alarmsOf(turns: TurnTest, { sessionId }: TestSession): Promise<readonly number[]> {
  const { rows } = await sql<{ at: Date }>`
    select start_after as at from exoloop_jobs.job
    where name = 'wakes' and state < 'completed' and data->>'sessionId' = ${sessionId} order by 1`.execute(
    turns.test.database,
  );
  return rows.map((row) => row.at.getTime());
}

describe("a parked call", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  it("waits for a duration in status rescheduling and goes on by itself", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ toolCalls: [waitFor({ seconds: 1.5 })] }, done]));
    await turns.eventually(session, isParked);
    expect(await statusOf(turns, session)).toBe("rescheduling");
    const events = await turns.eventually(session, idleTimes(1));
    const types = events.map((event) => event.type);
    expect(types.slice(types.indexOf("agent.tool_use"), types.lastIndexOf("agent.message"))).toEqual([
      "agent.tool_use",
      "x.wait_started",
      "session.status_rescheduled",
      "session.status_running",
      "agent.tool_result",
      "span.model_request_start",
    ]);
    const [started, ended] = ["x.wait_started", "agent.tool_result"].map((type) =>
      events.find((event) => event.type === type)?.createdAt.getTime(),
    );
    expect((ended ?? 0) - (started ?? 0)).toBeGreaterThanOrEqual(1_490);
    expect(resultsOf(events)).toEqual([expect.stringMatching(/^The wait until .* is over\.$/)]);
  });

  it("may wait for thirty days and holds an alarm in the database, nothing else", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ toolCalls: [waitFor({ seconds: 30 * 86_400 })] }, done]));
    await turns.eventually(session, isParked);
    const [alarm, ...more] = await alarmsOf(turns, session);
    expect(more).toEqual([]);
    expect(Math.abs((alarm ?? 0) - (Date.now() + 30 * 86_400_000))).toBeLessThan(60_000);
  });

  it("with arguments that are wrong is told so at once", async () => {
    const session = await insertTestSession(turns.test.database);
    const wrong = [{ seconds: 31 * 86_400 }, { until: "soon" }, {}];
    await turns.send(session, script([{ toolCalls: wrong.map(waitFor) }, done]));
    const events = await turns.eventually(session, idleTimes(1));
    expect(resultsOf(events)).toEqual([
      expect.stringContaining("thirty days"),
      expect.stringContaining("not an instant"),
      expect.stringContaining("exactly one of"),
    ]);
    expect(events.some((event) => event.type === "session.status_rescheduled")).toBe(false);
    expect(await alarmsOf(turns, session)).toEqual([]);
  });

  it("waits beside others of its step, and the results keep the order of the calls", async () => {
    const session = await insertTestSession(turns.test.database);
    const calls = [waitFor({ seconds: 1.5 }), waitFor({ seconds: 0.1 }), { name: "read", input: {} }];
    await turns.send(session, script([{ toolCalls: calls }, done]));
    const events = await turns.eventually(session, idleTimes(1));
    expect(resultsOf(events)).toHaveLength(3);
    const model = events.filter((event) => event.type === "span.model_request_start");
    expect(model).toHaveLength(2);
  });

  it("keeps a message until its result is there: steering and queueing end no wait", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ toolCalls: [waitFor({ seconds: 2 })] }, done, { text: "And heard." }]));
    await turns.eventually(session, isParked);
    const [queued] = await turns.send(session, says("Later.", "queue"));
    const [steered] = await turns.send(session, says("Meanwhile."));
    await sleep(300);
    expect((await readLog(turns.test.database, session.sessionId, 0)).at(-1)?.type).toBe("user.message");
    expect(await statusOf(turns, session)).toBe("rescheduling");
    const events = await turns.eventually(session, idleTimes(1));
    const at = (match: (event: LogEvent) => boolean) => events.findIndex(match);
    const consumedAt = (id: string | undefined) => at((event) => consumedBy(event).includes(id ?? ""));
    const answers = events.flatMap((event, index) => (event.type === "agent.message" ? [index] : []));
    expect(at((event) => event.type === "agent.tool_result")).toBeLessThan(consumedAt(steered?.id));
    expect(consumedAt(steered?.id)).toBeLessThan(answers[0] ?? 0);
    expect(consumedAt(queued?.id)).toBeGreaterThan(answers[0] ?? 0);
    expect(consumedAt(queued?.id)).toBeLessThan(answers[1] ?? 0);
  });

  it("is refused by an interrupt; the session rests and takes the next message", async () => {
    const session = await insertTestSession(turns.test.database);
    // One of its organization that never begins.
    const other = await insertTestSession(turns.test.database);
    await turns.test.database
      .updateTable("sessions")
      .set({ organization_id: session.organizationId })
      .where("id", "=", other.sessionId)
      .execute();
    await turns.send(
      session,
      script([{ toolCalls: [waitFor({ seconds: 1.5 }), waitFor({ session_id: other.sessionId })] }, done]),
    );
    await turns.eventually(session, isParked);
    await turns.send(session, { type: "user.interrupt" });
    const rested = await turns.eventually(session, idleTimes(1));
    expect(resultsOf(rested)).toEqual([expect.stringContaining("interrupted"), expect.stringContaining("interrupted")]);
    expect(rested.some((event) => event.type === "agent.message")).toBe(false);
    const waits = turns.test.database.selectFrom("session_waits").select("target");
    expect(await waits.where("session_id", "=", session.sessionId).execute()).toEqual([]);
    await sleep(1_700);
    // Its alarm has rung, and found nothing to do.
    expect(await readLog(turns.test.database, session.sessionId, 0)).toHaveLength(rested.length);
    await turns.send(session, script([{ text: "Here again." }]));
    const events = await turns.eventually(session, idleTimes(2));
    expect(JSON.stringify(events.findLast((event) => event.type === "agent.message")?.data)).toContain("Here again.");
  });

  it("beside a call that needs an answer lets the session rest, and ends all the same", async () => {
    const ask = { type: "custom" as const, name: "ask_person", description: "Asks.", input_schema: {} };
    const toolset = {
      type: "agent_toolset_20260401" as const,
      default_config: { enabled: true, permission_policy: { type: "always_allow" as const } },
      configs: [],
    };
    const session = await insertTestSession(turns.test.database, { tools: [toolset, ask] });
    const calls = [waitFor({ seconds: 1 }), { name: "ask_person", input: {} }];
    await turns.send(session, script([{ toolCalls: calls }, done]));
    await turns.eventually(session, idleTimes(1));
    const waited = await turns.eventually(session, (types) => types.includes("agent.tool_result"));
    const asked = waited.find((event) => event.type === "agent.custom_tool_use");
    await turns.send(session, { type: "user.custom_tool_result", custom_tool_use_id: asked?.id ?? "", content: [] });
    const events = await turns.eventually(
      session,
      (types) => types.at(-1) === "session.status_idle" && types.includes("agent.message"),
    );
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    expect(resultsOf(events)).toHaveLength(1);
  });

  it("waits on where its alarm rang too early, as another clock's may", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ toolCalls: [waitFor({ seconds: 2 })] }, done]));
    await turns.eventually(session, isParked);
    await sql`delete from exoloop_jobs.job where name = 'wakes' and data->>'sessionId' = ${session.sessionId}`.execute(
      turns.test.database,
    );
    await driveTurn(turns.dependencies, session.sessionId);
    expect(await alarmsOf(turns, session)).toHaveLength(1);
    expect(resultsOf(await turns.eventually(session, idleTimes(1)))).toHaveLength(1);
  });

  it("goes on in another worker when every worker was stopped past its instant", async () => {
    const other = await startTurnTest();
    const { database } = other.test;
    const session = await insertTestSession(database);
    try {
      await other.send(session, script([{ toolCalls: [waitFor({ seconds: 1 })] }, done]));
      await other.eventually(session, isParked);
      await other.dependencies.engine.stop(1_000);
      await sleep(1_200);
      expect((await readLog(database, session.sessionId, 0)).at(-1)?.type).toBe("session.status_rescheduled");
      const engine = createPgBossEngine({
        connectionString: other.test.url,
        database,
        concurrency: 2,
        log: other.dependencies.log,
      });
      await engine.start(({ sessionId }) => driveTurn({ ...other.dependencies, engine }, sessionId));
      const events = await other.eventually(session, idleTimes(1));
      expect(resultsOf(events)).toEqual([expect.stringContaining("is over")]);
      await engine.stop(1_000);
    } finally {
      await other.notices.close();
      await other.test.drop();
    }
  });
});

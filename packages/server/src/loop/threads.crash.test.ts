/** Workers that die after any effect of a session that gives work, or of its thread: one thread, one result. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLog } from "../sessions/log.ts";
import { reduceLog } from "../sessions/reduce.ts";
import type { TestSession } from "../sessions/testing-database.ts";
import { driveTurn } from "./driver.ts";
import type { Effects } from "./effects.ts";
import { script, startTurnTest, type TurnTest } from "./testing.ts";
import { delegate, insertParent, resultTexts, threadsOf } from "./testing-threads.ts";

class Killed extends Error {}

/** Counts effects over all drivers; the one after `last` is never seen, and its driver does nothing more. */
function mortal(last: number) {
  let count = 0;
  const wrap = (effects: Effects): Effects => {
    let dead = false;
    const after = async <Result>(effect: () => Promise<Result>): Promise<Result> => {
      if (dead) throw new Killed();
      const result = await effect();
      count += 1;
      if (count !== last) return result;
      dead = true;
      throw new Killed();
    };
    return {
      ...effects,
      append: (request) => after(() => effects.append(request)),
      callModel: (request, options) => after(() => effects.callModel(request, options)),
      runTool: (call, options) => after(() => effects.runTool(call, options)),
      interruptThreads: (ids, source) => after(() => effects.interruptThreads(ids, source)),
    };
  };
  return { wrap, effects: () => count };
}

describe("a worker that dies while work is given or told", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest({ drives: false });
  }, 60_000);
  afterAll(() => turns.stop());

  /** As the engine would: the session and its threads, again and again, until all rest. */
  async function driveAll(session: TestSession, wrap: (effects: Effects) => Effects): Promise<void> {
    const dependencies = { ...turns.dependencies, wrapEffects: wrap };
    for (let round = 0; round < 20; round += 1) {
      const threads = await threadsOf(turns, session);
      // The session twice: what it has begun it repeats before a thread has seen any of it.
      const ids = [session.sessionId, session.sessionId, ...threads.map(({ row }) => row.id)];
      for (const id of ids) {
        await driveTurn(dependencies, id).catch((error: unknown) => {
          if (!(error instanceof Killed)) throw error;
        });
      }
      const now = [session, ...(await threadsOf(turns, session)).map((thread) => thread.session)];
      const states = await Promise.all(
        now.map(async ({ sessionId }) => reduceLog(await readLog(turns.test.database, sessionId, 0))),
      );
      if (states.every((state) => state.status === "idle" && state.inbox.length === 0)) return;
    }
    throw new Error("it does not come to rest");
  }

  it("leaves one thread for each call and one result, wherever it dies", { timeout: 120_000 }, async () => {
    const work = [{ toolCalls: [{ name: "read", input: {} }] }, { text: "Read." }];
    const steps = [{ toolCalls: [delegate(work), delegate([{ text: "Easy." }])] }, { text: "All done." }];
    let total = 1;
    for (let last = 1; last <= total + 1; last += 1) {
      const session = await insertParent(turns);
      await turns.send(session, script(steps));
      const life = mortal(last);
      await driveAll(session, life.wrap);
      if (last === 1) total = life.effects();
      const events = await readLog(turns.test.database, session.sessionId, 0);
      const count = (type: string) => events.filter((event) => event.type === type).length;
      expect([last, count("session.thread_created"), count("x.thread_settled")]).toEqual([last, 2, 2]);
      const texts = resultTexts(events).map((text) => text.split("\n")[0]);
      expect([last, new Set(texts), texts.length]).toEqual([last, new Set(["Easy.", "Read."]), 2]);
      expect(await threadsOf(turns, session)).toHaveLength(2);
      expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
      const said = events.filter((event) => event.type === "agent.message").length;
      expect([last, said]).toEqual([last, 1]);
    }
    expect(total).toBeGreaterThan(15);
  });

  it("passes an interrupt on once, wherever it dies", { timeout: 120_000 }, async () => {
    const custom = { type: "custom" as const, name: "ask_person", description: "Asks.", input_schema: {} };
    const work = [{ toolCalls: [{ name: "ask_person", input: {} }] }, { text: "Heard." }];
    for (let last = 1; last <= 12; last += 1) {
      const session = await insertParent(turns, [{ name: "helper", tools: [custom] }]);
      await turns.send(session, script([{ toolCalls: [delegate(work)] }, { text: "All done." }]));
      await driveAll(session, (effects) => effects);
      await turns.send(session, { type: "user.interrupt" });
      await driveAll(session, mortal(last).wrap);
      const events = await readLog(turns.test.database, session.sessionId, 0);
      expect([last, resultTexts(events)]).toEqual([last, [expect.stringContaining("interrupted")]]);
      const [thread] = await threadsOf(turns, session);
      expect(thread?.events.filter((event) => event.type === "user.interrupt")).toHaveLength(1);
      expect(events.filter((event) => event.type === "x.thread_settled")).toHaveLength(1);
      expect(reduceLog(events).threads[0]?.status).toBe("idle");
    }
  });
});

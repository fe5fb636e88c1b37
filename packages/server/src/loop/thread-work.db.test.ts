/** Work that cannot be given, or not any more: nobody waits for a thread that has nothing to do. */
import { primaryThreadId } from "@exoloop/protocol/threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { archiveThread } from "../sessions/end-session.ts";
import { reduceLog } from "../sessions/reduce.ts";
import type { DriverDependencies } from "./driver.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";
import { delegate, insertParent, resultTexts, task, threadsOf } from "./testing-threads.ts";

describe("work for a thread", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  const again = (threadId: string, text: string) => ({
    name: "delegate",
    input: { task: task([{ text }]), thread_id: threadId },
  });

  it("is given once in a step: the second call for the same thread is told why", async () => {
    const session = await insertParent(turns);
    await turns.send(session, script([{ toolCalls: [delegate([{ text: "First." }])] }, { text: "Good." }]));
    await turns.eventually(session, idleTimes(1));
    const [thread] = await threadsOf(turns, session);
    const id = thread?.row.id ?? "";
    await turns.send(session, script([{ toolCalls: [again(id, "Second."), again(id, "Third.")] }, { text: "Done." }]));
    const texts = resultTexts(await turns.eventually(session, idleTimes(2)));
    expect(texts).toHaveLength(3);
    expect(texts.find((text) => text.includes("still at work"))).toBeDefined();
    expect(texts.find((text) => text.includes("Second."))).toBeDefined();
  });

  it("makes at most fifty threads, also in one step", async () => {
    const session = await insertParent(turns);
    const database = turns.test.database;
    const calls = Array.from({ length: 52 }, () => delegate([{ text: "Here." }]));
    await turns.send(session, script([{ toolCalls: calls }, { text: "Done." }]));
    const texts = resultTexts(await turns.eventually(session, idleTimes(1)));
    expect(texts.filter((text) => text.includes("at most 50 threads"))).toHaveLength(2);
    const rows = await database
      .selectFrom("sessions")
      .select("id")
      .where("parent_session_id", "=", session.sessionId)
      .execute();
    expect(rows).toHaveLength(50);
  }, 30_000);

  it("is not given to a thread that waits for an answer", async () => {
    const custom = { type: "custom" as const, name: "ask_person", description: "Asks.", input_schema: {} };
    const session = await insertParent(turns, [{ name: "helper", tools: [custom] }]);
    const work = [{ toolCalls: [{ name: "ask_person", input: {} }] }, { text: "Heard." }];
    await turns.send(session, script([{ toolCalls: [delegate(work)] }, { text: "never" }]));
    await turns.eventually(session, idleTimes(1));
    const [thread] = await threadsOf(turns, session);
    await turns.send(session, { type: "user.interrupt", session_thread_id: primaryThreadId(session.sessionId) });
    await turns.eventually(session, idleTimes(2));
    await turns.send(session, script([{ toolCalls: [again(thread?.row.id ?? "", "More.")] }, { text: "I see." }]));
    const texts = resultTexts(await turns.eventually(session, idleTimes(3)));
    expect(texts.at(-1)).toContain("still at work");
  });

  it("is not given to a thread that is archived at that moment", async () => {
    const session = await insertParent(turns);
    await turns.send(session, script([{ toolCalls: [delegate([{ text: "First." }])] }, { text: "Good." }]));
    await turns.eventually(session, idleTimes(1));
    const [thread] = await threadsOf(turns, session);
    const id = thread?.row.id ?? "";
    const { database } = turns.test;
    const { engine, notices } = turns.dependencies;
    const principal = { organizationId: session.organizationId, apiKeyId: "key", scopes: [] };
    let archived = false;
    const wrapEffects: DriverDependencies["wrapEffects"] = (effects) => ({
      ...effects,
      async append(request) {
        if (!archived && (request.threads ?? []).length > 0) {
          archived = true;
          const releaseSandbox = () => Promise.resolve();
          await archiveThread({ database, engine, notices, releaseSandbox }, principal, session.sessionId, id);
        }
        return effects.append(request);
      },
    });
    Object.assign(turns.dependencies, { wrapEffects });
    try {
      await turns.send(session, script([{ toolCalls: [again(id, "Second.")] }, { text: "I see." }]));
      const events = await turns.eventually(session, idleTimes(2));
      expect(archived).toBe(true);
      expect(resultTexts(events).at(-1)).toContain("no work was given");
      expect(reduceLog(events).threads.map(({ status }) => status)).toEqual(["terminated"]);
    } finally {
      Object.assign(turns.dependencies, { wrapEffects: undefined });
    }
  });
});

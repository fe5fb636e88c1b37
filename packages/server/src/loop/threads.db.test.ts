/** Work given to other agents: real Postgres, real engine, the scripted model in every part. */
import { primaryThreadId } from "@exoloop/protocol/threads";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Input } from "../sessions/input.ts";
import { lockSession } from "../sessions/locked-session.ts";
import { readLog } from "../sessions/log.ts";
import { reduceLog } from "../sessions/reduce.ts";
import type { AgentSnapshot } from "./context.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";
import { delegate, insertParent, resultTexts, task, threadsOf } from "./testing-threads.ts";

const askFirst: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];

describe("work given to other agents", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  it("is done in parallel, and the results come in the order of the calls", async () => {
    const session = await insertParent(turns);
    const calls = [600, 300, 10].map((delayMs) => delegate([{ delayMs, text: `after ${delayMs}` }]));
    await turns.send(session, script([{ toolCalls: calls }, { text: "All done." }]));
    const events = await turns.eventually(session, idleTimes(1));
    const state = reduceLog(events);
    const [results] = state.transcript.filter((message) => message.role === "tool");
    const texts = results?.results.map(({ content }) => (content[0]?.type === "text" ? content[0].text : ""));
    expect(texts?.map((text) => text.split("\n")[0])).toEqual(["after 600", "after 300", "after 10"]);
    const threads = await threadsOf(turns, session);
    expect(threads.map(({ row }) => [row.status, row.title])).toEqual(Array(3).fill(["idle", "helper"]));
    expect(events.filter((event) => event.type === "session.thread_created")).toHaveLength(3);
    expect(events.filter((event) => event.type === "agent.thread_message_received")).toHaveLength(3);
    // Together: the first began before the last had ended.
    const began = Math.max(...threads.map(({ events: [first] }) => first?.createdAt.getTime() ?? 0));
    const ended = Math.min(...threads.map(({ events: own }) => own.at(-1)?.createdAt.getTime() ?? 0));
    expect(began).toBeLessThan(ended);
    // What threads used counts for the session, once.
    const used = threads.reduce((sum, thread) => sum + reduceLog(thread.events).usage.steps, 0);
    const own = events.filter((event) => /^(span.model_request_end|agent.tool_result)$/.test(event.type)).length;
    expect(state.usage.steps).toBe(own + used);
  });

  it("waits for an approval that the thread's own policy asks for, given through the session", async () => {
    const session = await insertParent(turns, [{ name: "helper", tools: askFirst }]);
    turns.ran.length = 0;
    const work = [{ toolCalls: [{ name: "write", input: { file_path: "/a" } }] }, { text: "Written." }];
    await turns.send(session, script([{ toolCalls: [delegate(work)] }, { text: "All done." }]));
    const waiting = await turns.eventually(session, idleTimes(1));
    const [thread] = await threadsOf(turns, session);
    const asked = waiting.find((event) => event.type === "agent.tool_use" && event.data?.["name"] === "write");
    expect(asked?.data).toMatchObject({ evaluated_permission: "ask", session_thread_id: thread?.row.id });
    expect(waiting.at(-1)?.data?.["stop_reason"]).toEqual({ type: "requires_action", event_ids: [asked?.id] });
    expect(turns.ran).toEqual([]);
    const answer: Input = { type: "user.tool_confirmation", tool_use_id: asked?.id ?? "", result: "allow" };
    const [stored] = await turns.send(session, answer);
    expect(stored?.data).toEqual({ tool_use_id: asked?.id, result: "allow", session_thread_id: thread?.row.id });
    const done = await turns.eventually(session, idleTimes(2));
    expect(turns.ran).toEqual(["write"]);
    expect(resultTexts(done)).toEqual([expect.stringContaining("Written.")]);
    expect(done.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    // The thread's own log has the answer without the thread's name, and a repeat is the same answer.
    const [after] = await threadsOf(turns, session);
    const passedOn = after?.events.find((event) => event.type === "user.tool_confirmation");
    expect(passedOn?.data).toEqual({ tool_use_id: asked?.id, result: "allow" });
    const [repeat] = await turns.send(session, answer);
    expect(repeat?.id).toBe(stored?.id);
    await expect(turns.send(session, { ...answer, result: "deny" })).rejects.toThrow("answered already");
    expect((await readLog(turns.test.database, after?.row.id ?? "", 0)).length).toBe(after?.events.length);
  });

  it("takes the result of a thread's custom tool through the session", async () => {
    const custom = { type: "custom" as const, name: "ask_person", description: "Asks.", input_schema: {} };
    const session = await insertParent(turns, [{ name: "helper", tools: [custom] }]);
    const work = [{ toolCalls: [{ name: "ask_person", input: { q: 1 } }] }, { text: "Heard." }];
    await turns.send(session, script([{ toolCalls: [delegate(work)] }, { text: "All done." }]));
    const waiting = await turns.eventually(session, idleTimes(1));
    const call = waiting.find((event) => event.type === "agent.custom_tool_use");
    const content = [{ type: "text", text: "42" }];
    await turns.send(session, { type: "user.custom_tool_result", custom_tool_use_id: call?.id ?? "", content });
    expect(resultTexts(await turns.eventually(session, idleTimes(2)))).toEqual([expect.stringContaining("Heard.")]);
  });

  it("ends with its own budget, told as an error, and goes on with another", async () => {
    const session = await insertParent(turns);
    const work = [1, 2, 3, 4].map(() => ({ toolCalls: [{ name: "read", input: {} }] }));
    const first = delegate([...work, { text: "never" }], { budget: { steps: 3 } });
    await turns.send(session, script([{ toolCalls: [first] }, { text: "Enough." }]));
    const events = await turns.eventually(session, idleTimes(1));
    expect(resultTexts(events)).toEqual([expect.stringContaining("budget was used up")]);
    const [thread] = await threadsOf(turns, session);
    expect(thread?.events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "budget_reached" });
    // The budget is for one piece of work: the same thread has room again.
    const more = {
      name: "delegate",
      input: { task: task([{ text: "Now." }]), thread_id: thread?.row.id, budget: { steps: 2 } },
    };
    await turns.send(session, script([{ toolCalls: [more] }, { text: "All done." }]));
    const later = await turns.eventually(session, idleTimes(2));
    expect(resultTexts(later).at(-1)).toContain("Now.");
    expect(await threadsOf(turns, session)).toHaveLength(1);
  });

  it("ends with the retries of the thread's model, told as an error", async () => {
    const session = await insertParent(turns, [{ name: "helper", model: { id: "scripted/none" } }]);
    await turns.send(session, script([{ toolCalls: [delegate([{ text: "x" }])] }, { text: "A pity." }]));
    const events = await turns.eventually(session, idleTimes(1));
    expect(resultTexts(events)).toEqual([expect.stringContaining("failed again and again")]);
    const idle = events.find((event) => event.type === "session.thread_status_idle");
    expect(idle?.data?.["stop_reason"]).toEqual({ type: "retries_exhausted" });
  });

  it("is shown in the session as it waits and goes on", async () => {
    const session = await insertParent(turns);
    const work = [{ toolCalls: [{ name: "wait_for", input: { seconds: 0.2 } }] }, { text: "Awake." }];
    await turns.send(session, script([{ toolCalls: [delegate(work)] }, { text: "All done." }]));
    const events = await turns.eventually(session, idleTimes(1));
    expect(events.flatMap(({ type }) => (type.startsWith("session.thread_") ? [type.slice(15)] : []))).toEqual([
      "created",
      "status_running",
      "status_rescheduled",
      "status_running",
      "status_idle",
    ]);
    const statuses = events.flatMap(({ type }) => (type.startsWith("session.status_") ? [type.slice(15)] : []));
    expect(statuses).toEqual(["running", "idle"]);
  });

  it("is stopped by an interrupt of the session, and the session goes on", async () => {
    const session = await insertParent(turns);
    turns.ran.length = 0;
    const work = [{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }, { text: "never" }];
    await turns.send(
      session,
      script([{ toolCalls: [delegate(work), delegate([{ delayMs: 60_000, text: "x" }])] }, {}]),
    );
    await expect.poll(() => turns.ran).toEqual(["bash"]);
    const asked = Date.now();
    await turns.send(session, { type: "user.interrupt" });
    await turns.eventually(session, idleTimes(1));
    await expect.poll(() => turns.ran).toEqual(["bash", "bash aborted"]);
    expect(Date.now() - asked).toBeLessThan(1_500);
    const threads = await threadsOf(turns, session);
    for (const thread of threads) await turns.eventually(thread.session, idleTimes(1));
    await turns.send(session, script([{ text: "Here again." }]));
    const events = await turns.eventually(session, idleTimes(2));
    expect(resultTexts(events)).toEqual(Array(2).fill(expect.stringContaining("interrupted")));
    expect(reduceLog(events).threads.map((thread) => thread.status)).toEqual(["idle", "idle"]);
    expect(events.filter((event) => event.type === "user.interrupt")).toHaveLength(1);
    for (const { events: own } of await threadsOf(turns, session)) {
      expect(own.filter((event) => event.type === "user.interrupt")).toHaveLength(1);
    }
  });

  it("of one thread is stopped alone by an interrupt that names it", async () => {
    const session = await insertParent(turns);
    turns.ran.length = 0;
    const held = [{ toolCalls: [{ name: "bash", input: { waitForAbort: true } }] }, { text: "never" }];
    const calls = [delegate(held), delegate([{ delayMs: 1_000, text: "Mine is done." }])];
    await turns.send(session, script([{ toolCalls: calls }, { text: "All done." }]));
    await expect.poll(() => turns.ran).toEqual(["bash"]);
    const threads = await threadsOf(turns, session);
    const stopped = threads.find(({ events }) => events.some((event) => event.type === "x.tool_started"));
    const threadId = stopped?.row.id ?? "";
    await turns.send(session, { type: "user.interrupt", session_thread_id: threadId });
    const events = await turns.eventually(session, idleTimes(1));
    expect(resultTexts(events)).toHaveLength(2);
    expect(resultTexts(events).find((text) => text.includes(threadId))).toContain("was interrupted");
    expect(resultTexts(events).find((text) => !text.includes(threadId))).toContain("Mine is done.");
    expect(reduceLog(events).halted).toBeNull();
    const unknown: Input = { type: "user.interrupt", session_thread_id: "sthr_none" };
    await expect(turns.send(session, unknown)).rejects.toThrow("no such thread");
  });

  it("of a thread alone, or of the session alone, is stopped while the other one goes on", async () => {
    const held = { name: "bash", input: { waitForAbort: true } };
    const session = await insertParent(turns);
    turns.ran.length = 0;
    const calls = [delegate([{ toolCalls: [held] }, { text: "never" }]), held];
    await turns.send(session, script([{ toolCalls: calls }, { text: "never" }]));
    await expect.poll(() => turns.ran).toEqual(["bash", "bash"]);
    const [thread] = await threadsOf(turns, session);
    const interrupt = (session_thread_id: string) => turns.send(session, { type: "user.interrupt", session_thread_id });
    await interrupt(thread?.row.id ?? "");
    await turns.eventually(session, (types) => types.includes("x.thread_settled"));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(turns.ran).toEqual(["bash", "bash", "bash aborted"]);
    const other = await insertParent(turns);
    const slow = delegate([{ delayMs: 700, text: "Late." }]);
    await turns.send(other, script([{ toolCalls: [slow] }, { text: "never" }]));
    await turns.eventually(other, (types) => types.includes("x.thread_started"));
    await turns.send(other, { type: "user.interrupt", session_thread_id: primaryThreadId(other.sessionId) });
    await turns.eventually(other, idleTimes(1));
    const events = await turns.eventually(other, (types) => types.includes("x.thread_settled"));
    expect(resultTexts(events)).toEqual([expect.stringContaining("interrupted")]);
    const [late] = await threadsOf(turns, other);
    expect(late?.events.map((event) => event.type)).not.toContain("user.interrupt");
    expect(reduceLog(late?.events ?? []).transcript.at(-1)).toMatchObject({ content: [{ text: "Late." }] });
    await interrupt(primaryThreadId(session.sessionId));
    await turns.eventually(session, idleTimes(1));
    expect(turns.ran).toEqual(["bash", "bash", "bash aborted", "bash aborted"]);
  });

  it("is told once, also when the thread is interrupted after it", async () => {
    const session = await insertParent(turns);
    await turns.send(session, script([{ toolCalls: [delegate([{ text: "Easy." }])] }, { text: "All done." }]));
    await turns.eventually(session, idleTimes(1));
    const [thread] = await threadsOf(turns, session);
    if (thread === undefined) throw new Error("no thread");
    await turns.send(session, { type: "user.interrupt", session_thread_id: thread.row.id });
    await turns.eventually(thread.session, idleTimes(2));
    const events = await readLog(turns.test.database, session.sessionId, 0);
    for (const type of ["x.thread_settled", "agent.thread_message_received", "agent.tool_result"]) {
      expect(events.filter((event) => event.type === type)).toHaveLength(1);
    }
  });

  it("locks the session before the thread: a thread that comes to rest holds nobody up", async () => {
    const session = await insertParent(turns);
    const slow = delegate([{ delayMs: 400, text: "Slow." }]);
    await turns.send(session, script([{ toolCalls: [slow] }, { text: "All done." }]));
    await turns.eventually(session, (types) => types.includes("session.thread_status_running"));
    const [thread] = await threadsOf(turns, session);
    await turns.test.database.transaction().execute(async (transaction) => {
      await lockSession(transaction, session.organizationId, session.sessionId);
      // By now the thread waits to tell its result.
      await new Promise((resolve) => setTimeout(resolve, 800));
      const id = thread?.row.id ?? "";
      await transaction.selectFrom("sessions").select("id").where("id", "=", id).forUpdate().noWait().execute();
    });
    expect(resultTexts(await turns.eventually(session, idleTimes(1)))).toEqual([expect.stringContaining("Slow.")]);
  });

  it("is not given by a call with wrong arguments, and the model is told why", async () => {
    const session = await insertParent(turns);
    const wrong = [
      { agent: "helper", task: " " },
      { agent: "nobody", task: "x" },
      { agent: "helper", task: "x", budget: { steps: -1 } },
      { agent: "helper", task: "x", budget: { hours: 1 } },
      { task: "x", thread_id: "sthr_none" },
    ];
    const toolCalls = wrong.map((input) => ({ name: "delegate", input }));
    await turns.send(session, script([{ toolCalls }, { text: "I see." }]));
    const texts = resultTexts(await turns.eventually(session, idleTimes(1)));
    expect(texts.map((text) => text.replace(/^.*arguments are wrong: /, ""))).toEqual([
      "task is missing.",
      "agent must be one of helper.",
      "budget holds something that is not a limit above 0.",
      "budget holds something that is not a limit above 0.",
      "there is no thread with this thread_id.",
    ]);
    expect(await threadsOf(turns, session)).toEqual([]);
  });

  it("is not given on by a thread, and not offered to an agent without helpers", async () => {
    const session = await insertParent(turns);
    const deeper = [{ toolCalls: [delegate([{ text: "x" }])] }, { text: "Not me." }];
    await turns.send(session, script([{ toolCalls: [delegate(deeper)] }, { text: "All done." }]));
    await turns.eventually(session, idleTimes(1));
    const [thread, ...others] = await threadsOf(turns, session);
    expect(others).toEqual([]);
    expect(thread?.events.find((event) => event.type === "agent.tool_use")?.data).toMatchObject({
      name: "delegate",
      evaluated_permission: "deny",
    });
  });

  it("never makes sessions wait for each other: 20 with 3 threads each", { timeout: 120_000 }, async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, () => insertParent(turns)));
    const steps = [{ toolCalls: [{ name: "read", input: {} }] }, { text: "Read." }];
    const calls = [1, 2, 3].map(() => delegate(steps));
    await Promise.all(
      sessions.map((session) => turns.send(session, script([{ toolCalls: calls }, { text: "Done." }]))),
    );
    for (const session of sessions) {
      const events = await turns.eventually(session, idleTimes(1));
      expect(resultTexts(events)).toEqual(Array(3).fill(expect.stringContaining("Read.")));
    }
    // A turn that failed would have been handed out again: the database knows better.
    const { rows } = await sql<{ deadlocks: number }>`
      select deadlocks from pg_stat_database where datname = current_database()`.execute(turns.test.database);
    expect(Number(rows[0]?.deadlocks)).toBe(0);
  });
});

/** Messages and interrupts that come while an exchange runs: when the model hears them, and how its context grows. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TranscriptMessage } from "../models/model.ts";
import type { LogEvent } from "../sessions/event.ts";
import type { Input } from "../sessions/input.ts";
import { readLog } from "../sessions/log.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { driveTurn } from "./driver.ts";
import type { Effects } from "./effects.ts";
import { answersOf, consumedBy } from "./testing-events.ts";
import { script, startTurnTest, type TurnTest } from "./testing.ts";

const reads = { toolCalls: [{ name: "read", input: {} }] };

const says = (text: string, delivery?: "steer" | "queue"): Input => ({
  type: "user.message",
  content: [{ type: "text", text }],
  ...(delivery === undefined ? {} : { x_exoloop: { delivery } }),
});

/** What the user says in these messages, scripts left out. */
function heard(messages: readonly TranscriptMessage[]): readonly string[] {
  return messages
    .flatMap((message) => (message.role === "user" ? message.content : []))
    .flatMap((part) => (part.type === "text" && !part.text.startsWith("```") ? [part.text] : []));
}

describe("an exchange that runs", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest({ drives: false });
  }, 60_000);
  afterAll(() => turns.stop());

  /** Drives one turn. `during` may act at each call of the model or a tool; answers what the model was shown, call by call. */
  async function drive(session: TestSession, during: (effect: string) => Promise<unknown> = () => Promise.resolve()) {
    const shown: (readonly TranscriptMessage[])[] = [];
    const counts = { model: 0, tool: 0 };
    const wrapEffects = (effects: Effects): Effects => ({
      ...effects,
      async callModel(request, options) {
        shown.push(request.messages);
        await during(`model ${(counts.model += 1)}`);
        return effects.callModel(request, options);
      },
      async runTool(call, options) {
        await during(`tool ${(counts.tool += 1)}`);
        return effects.runTool(call, options);
      },
    });
    await driveTurn({ ...turns.dependencies, wrapEffects }, session.sessionId);
    return shown;
  }
  const logOf = (session: TestSession) => readLog(turns.test.database, session.sessionId, 0);
  const idles = (events: readonly LogEvent[]) => events.filter((event) => event.type === "session.status_idle").length;

  it("hears a steering message between two calls of the model, and its context grows only at its tail", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([reads, reads, { text: "Done." }]));
    const shown = await drive(session, async (effect) => {
      if (effect === "model 1") await turns.send(session, says("During the first call."));
      if (effect === "tool 2") await turns.send(session, says("During the second tool.", "steer"));
    });
    expect(shown.map(heard)).toEqual([
      [],
      ["During the first call."],
      ["During the first call.", "During the second tool."],
    ]);
    for (const [index, messages] of shown.slice(1).entries()) {
      expect(messages.slice(0, shown[index]?.length)).toEqual(shown[index]);
      // A call keeps its result next to it: the message comes after.
      expect(messages.slice(-2).map((message) => message.role)).toEqual(["tool", "user"]);
    }
    const events = await logOf(session);
    // No call was begun in vain.
    expect(events.filter((event) => event.type === "span.model_request_start")).toHaveLength(3);
    expect([idles(events), events.filter((event) => event.type === "session.error")]).toEqual([1, []]);
  });

  it("goes on for a steering message that comes during its last answer", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ text: "Done." }, { text: "That too." }]));
    const shown = await drive(session, async (effect) => {
      if (effect === "model 1") await turns.send(session, says("One more thing."));
    });
    expect(shown.map(heard)).toEqual([[], ["One more thing."]]);
    const events = await logOf(session);
    expect([answersOf(events), idles(events)]).toEqual([["Done.", "That too."], 1]);
  });

  it("ends before a queued message is heard: one exchange for each, in order, after what steers", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([reads, { text: "First." }, { text: "Second." }, reads, { text: "Third." }]));
    const shown = await drive(session, async (effect) => {
      if (effect !== "model 1") return;
      await turns.send(session, says("Queued one.", "queue"), says("Queued two.", "queue"), says("Steered.", "steer"));
    });
    expect(shown.map(heard)).toEqual([
      [],
      ["Steered."],
      ["Steered.", "Queued one."],
      ["Steered.", "Queued one.", "Queued two."],
      ["Steered.", "Queued one.", "Queued two."],
    ]);
    for (const [index, messages] of shown.slice(1).entries()) {
      expect(messages.slice(0, shown[index]?.length)).toEqual(shown[index]);
    }
    const events = await logOf(session);
    expect([answersOf(events), idles(events)]).toEqual([["First.", "Second.", "Third."], 1]);
  });

  it("starts with a queued message as with any other when nothing runs", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ text: "First." }]), says("And then?", "queue"));
    expect((await drive(session)).map(heard)).toEqual([[], ["And then?"]]);
  });

  it("that is interrupted hears what waited, and is started by what comes afterwards only", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([reads, { text: "Not reached." }]));
    const shown = await drive(session, async (effect) => {
      if (effect !== "tool 1") return;
      await turns.send(session, says("Steered before."), says("Queued before.", "queue"), { type: "user.interrupt" });
    });
    expect(shown).toHaveLength(1);
    const rested = await logOf(session);
    expect(rested.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    const consumed = rested.flatMap(consumedBy);
    expect(
      rested
        .filter((event) => event.type.startsWith("user."))
        .map((event) => event.id)
        .sort(),
    ).toEqual(consumed.sort());
    expect(await drive(session)).toEqual([]);
    await turns.send(session, script([{ text: "Again." }]));
    expect((await drive(session)).map(heard)).toEqual([["Steered before.", "Queued before."]]);
    expect(answersOf(await logOf(session))).toEqual(["Again."]);
  });

  it("that is interrupted while calls are open hears what waited behind them, and is not started by it", async () => {
    const session = await insertTestSession(turns.test.database);
    const wait = { toolCalls: [{ name: "wait_for", input: { seconds: 600 } }] };
    await turns.send(session, script([wait, { text: "Not reached." }]));
    await drive(session);
    await turns.send(session, says("Steered before."), says("Queued before.", "queue"));
    await turns.send(session, { type: "user.interrupt" });
    expect(await drive(session)).toEqual([]);
    expect((await logOf(session)).at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    await turns.send(session, script([{ text: "Again." }]));
    expect((await drive(session)).map(heard)).toEqual([["Steered before.", "Queued before."]]);
  });

  it("that is interrupted and sent another message in one request goes on with that message", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([reads, { text: "Not reached." }]));
    const shown = await drive(session, async (effect) => {
      if (effect !== "tool 1") return;
      await turns.send(session, says("Before."), { type: "user.interrupt" }, script([{ text: "Instead." }]));
    });
    expect(shown.map(heard)).toEqual([[], ["Before."]]);
    expect(answersOf(await logOf(session))).toEqual(["Instead."]);
  });

  it("is interrupted while the model answers: nothing of the answer stays, and what it used is counted", async () => {
    const session = await insertTestSession(turns.test.database);
    await turns.send(session, script([{ text: "A long story. ".repeat(50), chunkDelayMs: 50 }]));
    let sent = 0;
    await drive(session, async () => {
      setTimeout(() => {
        sent = performance.now();
        void turns.send(session, { type: "user.interrupt" });
      }, 300);
    });
    expect(performance.now() - sent).toBeLessThan(1_000);
    const events = await logOf(session);
    expect(answersOf(events)).toEqual([]);
    const end = events.find((event) => event.type === "span.model_request_end");
    expect(end?.data?.["model_usage"]).toMatchObject({ input_tokens: expect.any(Number) });
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  });
});

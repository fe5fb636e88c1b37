/** What models do wrong, in real turns: each attempt is charged, each retry is an event, and the session goes on. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LogEvent } from "../sessions/event.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";

const of = (events: readonly LogEvent[], type: string) => events.filter((event) => event.type === type);
const errors = (events: readonly LogEvent[]) => of(events, "session.error").map((event) => event.data?.["error"]);
const said = (events: readonly LogEvent[]) => of(events, "agent.message").map((event) => textOf(event));
const results = (events: readonly LogEvent[]) =>
  of(events, "agent.tool_result").map((event) => [event.data?.["is_error"], textOf(event)]);
const textOf = (event: LogEvent) =>
  ((event.data?.["content"] ?? []) as { text: string }[]).map(({ text }) => text).join("");
const stop = (events: readonly LogEvent[]) => events.at(-1)?.data?.["stop_reason"];
const ends = (events: readonly LogEvent[]) => of(events, "span.model_request_end");
const usages = (events: readonly LogEvent[]) =>
  ends(events).map((event) => event.data?.["model_usage"] as { input_tokens: number; output_tokens: number });
const read = { name: "read", input: {} };

describe("a model's fault", () => {
  let turns: TurnTest;
  let session: TestSession;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());
  beforeEach(async () => {
    turns.ran.length = 0;
    session = await insertTestSession(turns.test.database);
  });
  const play = async (steps: readonly object[], idle = 1) => {
    await turns.send(session, script(steps));
    return turns.eventually(session, idleTimes(idle));
  };

  it("that is final leaves the model for the next one of the list at once, and the log says who answered", async () => {
    const agent = { model: { id: "scripted/none" }, x_exoloop: { fallback_models: ["scripted/neither", "scripted"] } };
    session = await insertTestSession(turns.test.database, agent);
    const events = await play([{ text: "Here." }]);
    expect(said(events)).toEqual(["Here."]);
    expect(ends(events).map((event) => event.record?.["model"])).toEqual([
      "scripted/none",
      "scripted/neither",
      "scripted",
    ]);
    expect(errors(events)).toMatchObject(Array(2).fill({ retry_status: { type: "retrying" } }));
    expect(of(events, "session.status_rescheduled")).toEqual([]);
  });

  it("that is final without another model ends the exchange, and the next message tries again", async () => {
    session = await insertTestSession(turns.test.database, { model: { id: "scripted/none" } });
    const events = await play([{ text: "Not said." }]);
    expect(errors(events)).toMatchObject([{ retry_status: { type: "exhausted" } }]);
    expect(stop(events)).toEqual({ type: "retries_exhausted" });
    expect(ends(await play([{ text: "Not said." }], 2))).toHaveLength(2);
  });

  it("is met again no earlier than the provider asks", async () => {
    const fault = { kind: "rate_limited", retryAfterMs: 1_200 };
    const events = await play([{ text: "At last.", fault }]);
    const [failed] = ends(events);
    const again = of(events, "span.model_request_start")[1];
    const waited = Number(again?.createdAt.getTime()) - Number(failed?.createdAt.getTime());
    expect(waited).toBeGreaterThanOrEqual(1_150);
    expect(errors(events)).toMatchObject([{ type: "model_rate_limited_error" }]);
    expect(said(events)).toEqual(["At last."]);
  });

  it("an answer cut at its length runs none of its calls, and the model is told of each", async () => {
    const cut = { toolCalls: [read, { name: "bash", input: { command: "rm -r a b c" } }], fault: { kind: "length" } };
    const events = await play([cut, { text: "Again." }]);
    expect(turns.ran).toEqual([]);
    expect(results(events)).toEqual([
      [true, expect.stringContaining("cut off")],
      [true, expect.stringContaining("cut off")],
    ]);
    expect(said(events)).toEqual(["Again."]);
  });

  it("arguments that cannot be read and tools that do not exist are told, and the session goes on", async () => {
    const events = await play([
      { toolCalls: [read], fault: { kind: "malformed_arguments" } },
      { toolCalls: [{ name: "teleport", input: {} }, read] },
      { text: "Done." },
    ]);
    expect(results(events)).toEqual([
      [true, expect.stringContaining("not a JSON object")],
      [true, expect.stringMatching(/teleport/)],
      [false, "read"],
    ]);
    expect(turns.ran).toEqual(["read"]);
    expect([said(events), stop(events)]).toEqual([["Done."], { type: "end_turn" }]);
  });

  it("an empty answer is asked for again, and charged as the provider counted it", async () => {
    const usage = { input: 7_000, output: 3 };
    const events = await play([{ text: "Now.", usage, fault: { kind: "empty" } }]);
    expect(said(events)).toEqual(["Now."]);
    expect(usages(events)[0]).toMatchObject({ input_tokens: 7_000, output_tokens: 3 });
    expect(errors(events)).toMatchObject([{ retry_status: { type: "retrying" } }]);
  });

  it("a refusal ends the exchange, and the next message goes on", async () => {
    const events = await play([{ text: "No.", fault: { kind: "refusal" } }]);
    expect(stop(events)).toEqual({ type: "refusal" });
    const after = await play([{ text: "Yes." }], 2);
    expect([said(after).at(-1), stop(after)]).toEqual(["Yes.", { type: "end_turn" }]);
  });

  it("a connection that breaks is charged by an estimate, and every retry is an event", async () => {
    const long = "word ".repeat(200);
    const events = await play([{ text: long, fault: { kind: "disconnect", times: 2 } }]);
    expect(said(events)).toEqual([long]);
    expect(errors(events)).toMatchObject(Array(2).fill({ retry_status: { type: "retrying" } }));
    expect(ends(events).map((event) => event.data?.["is_error"])).toEqual([true, true, false]);
    for (const usage of usages(events)) {
      expect(usage.input_tokens).toBeGreaterThan(0);
      expect(usage.output_tokens).toBeGreaterThan(0);
    }
  });

  it("again and again ends after the last attempt, which says so", async () => {
    const events = await play([{ text: "Never.", fault: { kind: "rate_limited", times: 100, retryAfterMs: 5 } }]);
    expect(ends(events)).toHaveLength(6);
    expect(errors(events).at(-1)).toMatchObject({ retry_status: { type: "exhausted" } });
    expect(stop(events)).toEqual({ type: "retries_exhausted" });
  });
});

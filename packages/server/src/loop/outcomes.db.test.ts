/** Outcomes in real turns: the scripted model works, and judges as its script says. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ModelProvider, TranscriptContent } from "../models/model.ts";
import { createModels } from "../models/registry.ts";
import { readContent } from "../sessions/content.ts";
import type { LogEvent } from "../sessions/event.ts";
import type { Input } from "../sessions/input.ts";
import { readOutcomeEvaluations } from "../sessions/outcome-evaluations.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { driveTurn } from "./driver.ts";
import { idleTimes, startTurnTest, type TurnTest } from "./testing.ts";

interface Grade {
  readonly result: string;
  readonly explanation: string;
}
const revise = (explanation: string): Grade => ({ result: "needs_revision", explanation });
const satisfied: Grade = { result: "satisfied", explanation: "All criteria are met." };

/** The script is the description of the outcome. */
function outcome(steps: readonly object[], grades: readonly Grade[], max_iterations = 3): Input {
  const description = ["```script", JSON.stringify({ steps, grades }), "```"].join("\n");
  return { type: "user.define_outcome", description, rubric: { type: "text", content: "It works." }, max_iterations };
}

const textOf = (part: TranscriptContent) => (part.type === "text" ? part.text : "");
const texts = (...values: string[]) => values.map((text) => ({ text }));
const said = (events: readonly LogEvent[]) =>
  events.flatMap((event) => (event.type === "agent.message" ? readContent(event.data?.["content"]).map(textOf) : []));
const ends = (events: readonly LogEvent[]) =>
  events.flatMap((event) =>
    event.type === "span.outcome_evaluation_end" ? [[event.data?.["result"], event.data?.["iteration"]]] : [],
  );
const of = (events: readonly LogEvent[], type: string) => events.filter((event) => event.type === type);

/** Answers of the grader that are no judgement, so many times. */
let garbage = 0;
/** Milliseconds before the grader answers. */
let thinking = 0;
const played = createModels({});
const models: ModelProvider = {
  ...played,
  async *stream(request) {
    const grading = JSON.stringify(request.messages.at(-1)).includes("<outcome_evaluation_request>");
    if (grading && thinking > 0) await new Promise((resolve) => setTimeout(resolve, thinking));
    if (grading && request.abortSignal.aborted) throw new Error("aborted");
    if (grading && garbage > 0) {
      garbage -= 1;
      const usage = { input: 1, output: 1, cacheRead: 0, cacheWrite: 0, estimated: false };
      yield { type: "finish", content: [{ type: "text", text: "Looks good!" }], usage, finishReason: "stop" };
      return;
    }
    yield* played.stream(request);
  },
};

describe("an outcome", () => {
  let turns: TurnTest;
  let session: TestSession;
  beforeAll(async () => {
    turns = await startTurnTest({ models });
  }, 60_000);
  afterAll(() => turns.stop());
  beforeEach(async () => {
    garbage = thinking = 0;
    session = await insertTestSession(turns.test.database);
  });
  const run = async (input: Input, idle = 1) => {
    await turns.send(session, input);
    return turns.eventually(session, idleTimes(idle));
  };
  const evaluations = async () =>
    (await readOutcomeEvaluations(turns.test.database, [session.sessionId])).get(session.sessionId) ?? [];

  it("that is reached at once ends the work", async () => {
    const events = await run(outcome(texts("Done."), [satisfied]));
    expect(said(events)).toEqual(["Done."]);
    expect(ends(events)).toEqual([["satisfied", 0]]);
    const [start] = of(events, "span.outcome_evaluation_start");
    const [end] = of(events, "span.outcome_evaluation_end");
    expect(end?.data?.["outcome_evaluation_start_id"]).toBe(start?.id);
    expect(await evaluations()).toMatchObject([
      { result: "satisfied", iteration: 0, explanation: "All criteria are met.", completed_at: expect.any(String) },
    ]);
    expect((await evaluations())[0]?.outcome_id).toMatch(/^outc_/);
  });

  it("is revised until it is reached, and the model is told why", async () => {
    const grades = [revise("No tests."), revise("No docs."), satisfied];
    const events = await run(outcome(texts("One.", "Two.", "Three."), grades, 5));
    expect(said(events)).toEqual(["One.", "Two.", "Three."]);
    expect(ends(events)).toEqual([
      ["needs_revision", 0],
      ["needs_revision", 1],
      ["satisfied", 2],
    ]);
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  });

  it("that is not reached in time gets one last word and no further evaluation", async () => {
    const grades = [revise("a"), revise("b"), revise("c")];
    const events = await run(outcome(texts("One.", "Two.", "I could not.", "Not said."), grades, 2));
    expect(said(events)).toEqual(["One.", "Two.", "I could not."]);
    expect(ends(events)).toEqual([
      ["needs_revision", 0],
      ["max_iterations_reached", 1],
    ]);
    expect(await evaluations()).toMatchObject([{ result: "max_iterations_reached", explanation: "b" }]);
    const more = await run(outcome(texts("Another."), [satisfied]), 2);
    expect(ends(more).at(-1)).toEqual(["satisfied", 0]);
    expect(await evaluations()).toMatchObject([{ result: "max_iterations_reached" }, { result: "satisfied" }]);
  });

  it("whose rubric does not apply ends", async () => {
    const events = await run(outcome(texts("Done."), [{ result: "failed", explanation: "There is no code." }]));
    expect(ends(events)).toEqual([["failed", 0]]);
    expect(said(events)).toEqual(["Done."]);
  });

  it("is judged again where the grader gave no judgement", async () => {
    garbage = 2;
    const events = await run(outcome(texts("Done."), [satisfied]));
    expect(ends(events)).toEqual([["satisfied", 0]]);
    expect(of(events, "span.outcome_evaluation_start")).toHaveLength(1);
    expect(of(events, "session.error").map((event) => event.data?.["error"])).toMatchObject([
      { message: "The model gave no judgement.", retry_status: { type: "retrying" } },
      { retry_status: { type: "retrying" } },
    ]);
  });

  it("is interrupted while it is judged, and the session goes on with the next message", async () => {
    thinking = 1_000;
    await turns.send(session, outcome(texts("Done."), [revise("Not yet.")]));
    await turns.eventually(session, (types) => types.includes("span.outcome_evaluation_start"));
    await turns.send(session, { type: "user.interrupt" });
    const events = await turns.eventually(session, idleTimes(1));
    expect(ends(events)).toEqual([["interrupted", 0]]);
    expect(await evaluations()).toMatchObject([{ result: "interrupted" }]);
    thinking = 0;
    const after = await run({ type: "user.message", content: [{ type: "text", text: "Hello?" }] }, 2);
    expect(ends(after)).toHaveLength(1);
    expect(said(after).length).toBeGreaterThan(1);
  });

  it("stays while a message steers its revision", async () => {
    const grades = [revise("No tests."), satisfied];
    await turns.send(session, outcome([{ text: "One." }, { text: "Two.", delayMs: 600 }], grades));
    await turns.eventually(
      session,
      (types) => types.filter((type) => type === "span.model_request_start").length === 3,
    );
    const message = { type: "text", text: "In English, please." };
    const [sent] = await turns.send(session, { type: "user.message", content: [message] });
    const events = await turns.eventually(session, idleTimes(1));
    expect(ends(events)).toEqual([
      ["needs_revision", 0],
      ["satisfied", 1],
    ]);
    const heard = events.findIndex((event) => JSON.stringify(event.record ?? {}).includes(sent?.id ?? "none"));
    const judged = events.findLastIndex((event) => event.type === "span.outcome_evaluation_start");
    expect(heard).toBeGreaterThan(0);
    expect(heard).toBeLessThan(judged);
  });

  it("waits for the end of what runs", async () => {
    const script = ["```script", JSON.stringify([{ text: "First.", delayMs: 500 }]), "```"].join("\n");
    await turns.send(session, { type: "user.message", content: [{ type: "text", text: script }] });
    await turns.eventually(session, (types) => types.includes("span.model_request_start"));
    await turns.send(session, outcome(texts("Second."), [satisfied]));
    const events = await turns.eventually(session, (types) => types.includes("span.outcome_evaluation_end"));
    expect(said(events)).toEqual(["First.", "Second."]);
  });

  it("is judged on under the same start when the worker is lost", async () => {
    let lost = 0;
    const dying: TurnTest["dependencies"] = {
      ...turns.dependencies,
      wrapEffects: (effects) => ({
        ...effects,
        async callModel(request, options) {
          if (!options.shown) {
            lost += 1;
            throw new Error("the worker is lost");
          }
          return effects.callModel(request, options);
        },
      }),
    };
    const quiet = await startTurnTest({ drives: false, models });
    try {
      const own = await insertTestSession(quiet.test.database);
      await quiet.send(own, outcome(texts("Done."), [satisfied]));
      const dead = { ...dying, ...quiet.dependencies, wrapEffects: dying.wrapEffects };
      await expect(driveTurn(dead as TurnTest["dependencies"], own.sessionId)).rejects.toThrow("lost");
      expect(lost).toBe(1);
      await driveTurn(quiet.dependencies, own.sessionId);
      const events = await quiet.eventually(own, idleTimes(1));
      expect(of(events, "span.outcome_evaluation_start")).toHaveLength(1);
      expect(ends(events)).toEqual([["satisfied", 0]]);
    } finally {
      await quiet.stop();
    }
  });
});

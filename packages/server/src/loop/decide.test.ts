import { describe, expect, it } from "vitest";
import { publicEvent } from "../sessions/event.ts";
import { reduceLog } from "../sessions/reduce.ts";
import { consumed, logOf, modelEnd, modelStart, toolStarted, toolUse, userMessage } from "../sessions/testing.ts";
import { decide, type DecideContext } from "./decide.ts";

const context: DecideContext = {
  now: 1_000,
  stepsInTurn: 0,
  maximumStepsInTurn: 40,
  maximumModelAttempts: 3,
  approvalMs: 60_000,
  waitsChecked: false,
  budget: null,
  contextWindow: 100_000,
  isParallel: (toolName) => toolName === "read",
};

const after = (...events: Parameters<typeof logOf>[0]) => reduceLog(logOf(events));
const asked = [userMessage("u1", "go"), consumed("u1")];
const called = (...calls: [string, string, object][]) => [...asked, modelStart("m1"), modelEnd("m1", { calls })];
const failedModel = (retryable: boolean, retryAt: number) =>
  publicEvent(
    "span.model_request_end",
    { model_request_start_id: "m1", is_error: true },
    { record: { failure: { kind: "overloaded", retryable, retry_at: retryAt } } },
  );

describe("decide", () => {
  it("waits when there is nothing to do", () => {
    expect(decide(after(), context)).toEqual({ type: "wait", reason: { type: "end_turn" } });
    expect(decide(after(...asked, modelStart("m1"), modelEnd("m1", { text: "hi" })), context).type).toBe("wait");
  });

  it("consumes input, then calls the model", () => {
    expect(decide(after(userMessage("u1", "go")), context).type).toBe("consume");
    expect(decide(after(...asked), context)).toEqual({ type: "call-model" });
  });

  it("settles a model call that lost its driver before anything else", () => {
    const state = after(...asked, modelStart("m1"), userMessage("u2", "and?"));
    expect(decide(state, context)).toEqual({ type: "settle-model", startId: "m1" });
  });

  it("decides calls, runs parallel ones together and others alone, in order", () => {
    const log = called(["c1", "read", {}], ["c2", "read", {}], ["c3", "bash", {}], ["c4", "read", {}]);
    expect(decide(after(...log), context).type).toBe("decide-calls");
    const decided = [...log, toolUse("t1", "c1", "read"), toolUse("t2", "c2", "read"), toolUse("t3", "c3", "bash")];
    const action = decide(after(...decided, toolUse("t4", "c4", "read")), context);
    expect(action.type === "run-tools" && action.calls.map((call) => call.toolUseId)).toEqual(["t1", "t2"]);
  });

  it("resumes a started call", () => {
    const state = after(...called(["c1", "bash", {}]), toolUse("t1", "c1", "bash"), toolStarted("t1"));
    const action = decide(state, context);
    expect(action.type === "run-tools" && action.calls[0]?.status).toBe("started");
  });

  it("waits for answers and names the events that block", () => {
    const state = after(...called(["c1", "bash", {}]), toolUse("t1", "c1", "bash", "ask"));
    expect(decide(state, context)).toEqual({ type: "wait", reason: { type: "requires_action", event_ids: ["t1"] } });
  });

  it("keeps a message in the inbox while calls are open, and takes an interrupt at once", () => {
    const open = [...called(["c1", "bash", {}]), toolUse("t1", "c1", "bash", "ask"), userMessage("u2", "also")];
    expect(decide(after(...open), context).type).toBe("wait");
    const action = decide(after(...open, publicEvent("user.interrupt", {}, { id: "i1" })), context);
    expect(action.type === "consume" && action.events.map((event) => event.id)).toEqual(["i1"]);
  });

  it("does not swallow a message that follows an interrupt", () => {
    const state = after(
      userMessage("u1", "go"),
      publicEvent("user.interrupt", {}, { id: "i1" }),
      userMessage("u2", "instead do this"),
    );
    const action = decide(state, context);
    expect(action.type === "consume" && action.events.map((event) => event.id)).toEqual(["u1", "i1"]);
  });

  it("retries a failed model call when it is due, and gives up after the last attempt", () => {
    const failed = after(...asked, modelStart("m1"), failedModel(true, 2_000));
    expect(decide(failed, context)).toEqual({ type: "wait-until", until: 2_000 });
    expect(decide(failed, { ...context, now: 2_000 })).toEqual({ type: "call-model" });
    expect(decide(failed, { ...context, maximumModelAttempts: 1 })).toEqual({
      type: "wait",
      reason: { type: "retries_exhausted" },
    });
    const rejected = after(...asked, modelStart("m1"), failedModel(false, 0));
    expect(decide(rejected, context)).toEqual({ type: "wait", reason: { type: "retries_exhausted" } });
  });

  it("does not call again after it gave up, until the next message", () => {
    const exhausted = publicEvent("session.status_idle", {
      stop_reason: { type: "retries_exhausted" },
      stop_details: null,
    });
    const log = [...asked, modelStart("m1"), failedModel(false, 0), exhausted];
    expect(decide(after(...log), context).type).toBe("wait");
    expect(decide(after(...log, userMessage("u2", "again"), consumed("u2")), context)).toEqual({ type: "call-model" });
  });

  it("continues a long turn as another one", () => {
    expect(decide(after(...asked), { ...context, stepsInTurn: 40 })).toEqual({ type: "continue-later" });
  });
});

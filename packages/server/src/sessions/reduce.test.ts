import { describe, expect, it } from "vitest";
import { publicEvent } from "./event.ts";
import { reduce, reduceLog } from "./reduce.ts";
import { initialState } from "./state.ts";
import {
  consumed,
  logOf,
  modelEnd,
  modelStart,
  text,
  toolResult,
  toolStarted,
  toolUse,
  userMessage,
} from "./testing.ts";

const twoCalls = [
  userMessage("u1", "go"),
  consumed("u1"),
  modelStart("m1"),
  modelEnd("m1", {
    text: "I look.",
    calls: [
      ["c1", "read", {}],
      ["c2", "grep", {}],
    ],
  }),
];

describe("reduce", () => {
  it("keeps input out of the transcript until it is consumed", () => {
    const state = reduceLog(logOf([userMessage("u1", "go")]));
    expect(state.inbox.map((entry) => entry.id)).toEqual(["u1"]);
    expect(state.transcript).toEqual([]);
    expect(reduceLog(logOf([userMessage("u1", "go"), consumed("u1")])).transcript).toEqual([
      { role: "user", content: text("go") },
    ]);
  });

  it("makes one turn of the user of messages without an answer between them", () => {
    const state = reduceLog(logOf([userMessage("u1", "go"), userMessage("u2", "on"), consumed("u1", "u2")]));
    expect(state.transcript).toEqual([{ role: "user", content: [...text("go"), ...text("on")] }]);
  });

  it("gives the same state in one piece and event by event", () => {
    const log = logOf([...twoCalls, toolUse("t1", "c1", "read"), toolUse("t2", "c2", "grep"), toolStarted("t1")]);
    const stepwise = log.reduce((state, event) => reduce(state, [event]), initialState);
    expect(stepwise).toEqual(reduceLog(log));
  });

  it("orders results by call, whatever the order in which they settled", () => {
    const state = reduceLog(
      logOf([
        ...twoCalls,
        toolUse("t1", "c1", "read"),
        toolUse("t2", "c2", "grep"),
        toolResult("t2", "second"),
        toolResult("t1", "first"),
      ]),
    );
    expect(state.calls).toEqual([]);
    expect(state.transcript.at(-1)).toMatchObject({
      role: "tool",
      results: [
        { callId: "c1", toolName: "read", content: text("first"), isError: false },
        { callId: "c2", toolName: "grep", content: text("second"), isError: false },
      ],
    });
  });

  it("waits for every result before the transcript grows", () => {
    const state = reduceLog(
      logOf([...twoCalls, toolUse("t1", "c1", "read"), toolUse("t2", "c2", "grep"), toolResult("t1", "first")]),
    );
    expect(state.transcript.at(-1)?.role).toBe("assistant");
    expect(state.calls.map((call) => call.status)).toEqual(["settled", "ready"]);
  });

  it("knows a call whose start is recorded and whose result is not", () => {
    const state = reduceLog(logOf([...twoCalls, toolUse("t1", "c1", "read"), toolStarted("t1")]));
    expect(state.calls[0]?.status).toBe("started");
  });

  it("asks, and runs or refuses as the person says", () => {
    const asked = [
      ...twoCalls.slice(0, 3),
      modelEnd("m1", { calls: [["c1", "bash", {}]] }),
      toolUse("t1", "c1", "bash", "ask"),
    ];
    const answer = (result: string) =>
      publicEvent("user.tool_confirmation", { tool_use_id: "t1", result, deny_message: "too risky" }, { id: "a1" });
    expect(reduceLog(logOf(asked)).calls[0]?.status).toBe("awaiting_approval");
    expect(reduceLog(logOf([...asked, answer("allow"), consumed("a1")])).calls[0]?.status).toBe("ready");
    const denied = reduceLog(logOf([...asked, answer("deny"), consumed("a1")])).calls[0];
    expect([denied?.status, denied?.refusal]).toEqual(["refused", "too risky"]);
  });

  it("runs no call of an answer that was cut by its length", () => {
    const state = reduceLog(
      logOf([...twoCalls.slice(0, 3), modelEnd("m1", { calls: [["c1", "bash", {}]], finish: "length" })]),
    );
    expect(state.undecided[0]?.input).toBeNull();
  });

  it("refuses open calls and halts on an interrupt; the next message goes on", () => {
    const interrupted = [
      ...twoCalls,
      toolUse("t1", "c1", "bash"),
      toolUse("t2", "c2", "bash"),
      publicEvent("user.interrupt", {}, { id: "i1" }),
      consumed("i1"),
    ];
    const state = reduceLog(logOf(interrupted));
    expect(state.halted).toBe("interrupted");
    expect(state.calls.map((call) => call.status)).toEqual(["refused", "refused"]);
    expect(reduceLog(logOf([...interrupted, userMessage("u2", "go on"), consumed("u2")])).halted).toBeNull();
  });

  it("takes no answer to a call that an interrupt has settled meanwhile", () => {
    const late = reduceLog(
      logOf([
        ...twoCalls.slice(0, 3),
        modelEnd("m1", { calls: [["c1", "ask_person", {}]] }),
        publicEvent(
          "agent.custom_tool_use",
          { name: "ask_person", input: {} },
          { id: "t1", record: { call_id: "c1" } },
        ),
        publicEvent("user.interrupt", {}, { id: "i1" }),
        consumed("i1"),
        publicEvent("user.custom_tool_result", { custom_tool_use_id: "t1", content: text("42") }, { id: "r1" }),
        toolResult("t1", "interrupted"),
        consumed("r1"),
      ]),
    );
    expect(late.inbox).toEqual([]);
    expect(late.transcript.map((message) => message.role)).toEqual(["user", "assistant", "tool"]);
  });

  it("counts failed attempts until an answer comes", () => {
    const failed = (startId: string) =>
      publicEvent(
        "span.model_request_end",
        { model_request_start_id: startId, is_error: true },
        { record: { failure: { kind: "overloaded", retryable: true, retry_at: 5 } } },
      );
    const start = [
      userMessage("u1", "go"),
      consumed("u1"),
      modelStart("m1"),
      failed("m1"),
      modelStart("m2"),
      failed("m2"),
    ];
    expect(reduceLog(logOf(start)).modelFailure?.kinds).toHaveLength(2);
    const answered = reduceLog(logOf([...start, modelStart("m3"), modelEnd("m3", { text: "ok" })]));
    expect(answered.modelFailure).toBeNull();
    expect(answered.usage).toMatchObject({ input: 10, output: 5, cacheRead: 3, cacheWrite: 0 });
  });
});

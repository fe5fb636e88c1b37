import { expect, test } from "vitest";
import { describeCall, describeEvent, shortenResult } from "./transcript.ts";

const escape = "\u001b";
const text = (value: string) => [{ type: "text", text: value }];

test("what a model, a tool or a server says is escaped in every kind of entry", () => {
  const hostile = `${escape}[2Jhi\u202e`;
  const events = [
    { type: "user.message", content: text(hostile) },
    { type: "agent.message", content: text(hostile) },
    {
      type: "agent.tool_use",
      id: hostile,
      name: hostile,
      input: { command: hostile },
      evaluated_permission: "ask",
    },
    { type: "agent.custom_tool_use", id: "1", name: hostile, input: { [hostile]: hostile } },
    { type: "agent.tool_result", content: text(hostile) },
    { type: "agent.tool_result", content: [{ type: hostile }], is_error: true },
    { type: "session.error", error: { message: hostile } },
    { type: "user.define_outcome", description: hostile },
    { type: "span.outcome_evaluation_end", result: hostile, explanation: hostile },
    { type: "session.status_idle", stop_reason: { type: hostile } },
  ];
  for (const event of events) {
    const entry = describeEvent(event);
    expect(entry?.text).not.toContain(escape);
    expect(entry?.text).not.toContain("\u202e");
    expect(entry?.text).not.toBe("");
  }
});

test("an answer says who gave it", () => {
  const answer = (fields: object) => describeEvent({ type: "user.tool_confirmation", ...fields })?.text;
  expect(answer({ result: "allow" })).toBe("allowed by the user");
  expect(answer({ result: "deny" })).toBe("denied by the user");
  expect(answer({ result: "deny", x_exoloop: { expired: true } })).toBe("nobody answered in time");
});

test("a call is one line with its telling argument", () => {
  expect(describeCall("bash", { command: "npm test\n&& ls" })).toBe("bash  npm test && ls");
  expect(describeCall("grep", { pattern: "x+", path: "/workspace" })).toBe("grep  /workspace x+");
  expect(describeCall("other", { a: 1 })).toBe('other  {"a":1}');
  expect(describeCall("bash", null)).toBe("bash  {}");
});

test("a call that waits names the id that approves it", () => {
  const entry = describeEvent({
    type: "agent.tool_use",
    id: "sevt_1",
    name: "bash",
    input: { command: "rm x" },
    evaluated_permission: "ask",
  });
  expect(entry).toEqual({ kind: "approval", text: "bash  rm x\nwaits for approval: sevt_1" });
});

test("a long result says how much is left out", () => {
  const result = shortenResult(Array.from({ length: 20 }, (_, index) => `line ${index}`).join("\n"), 4);
  expect(result.split("\n")).toEqual(["line 0", "line 1", "line 2", "… 17 more lines"]);
  expect(shortenResult("a\nb\n", 2)).toBe("a\nb");
});

test("the end of a turn is silent, any other stop is not", () => {
  const stop = (type: string) => describeEvent({ type: "session.status_idle", stop_reason: { type } });
  expect(stop("end_turn")).toBeNull();
  expect(stop("requires_action")?.kind).toBe("notice");
  expect(stop("retries_exhausted")?.kind).toBe("failure");
  expect(stop("budget_reached")?.kind).toBe("failure");
  expect(describeEvent({ type: "span.model_request_start" })).toBeNull();
});

test("events of a form that nobody promised do not break the reader", () => {
  for (const type of ["user.message", "agent.tool_use", "agent.tool_result", "session.error", "session.status_idle"]) {
    expect(() => describeEvent({ type, content: 7, input: [], error: "x", stop_reason: 1 })).not.toThrow();
  }
});

test("an outcome, its judgements and compactions are told", () => {
  const end = (result: string) => describeEvent({ type: "span.outcome_evaluation_end", result, explanation: "Why." });
  expect(describeEvent({ type: "user.define_outcome", description: "It works." })?.text).toBe("outcome: It works.");
  expect(end("satisfied")?.text).toBe("the outcome is reached: Why.");
  expect(end("needs_revision")?.text).toBe("the outcome is not reached yet: Why.");
  expect(end("another")?.text).toBe("the outcome was evaluated: Why.");
  expect(describeEvent({ type: "agent.thread_context_compacted" })?.text).toBe("the conversation was compacted");
});

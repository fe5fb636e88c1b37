import { describe, expect, it } from "vitest";
import { type NewEvent, publicEvent, recordEvent } from "../event.ts";
import { hasReadUntrusted, reduceLog } from "../reduce.ts";
import { logOf, text, userMessage } from "../testing.ts";

const result = (record: Record<string, unknown> | null): NewEvent => ({
  ...publicEvent("agent.tool_result", { tool_use_id: "1", content: text("x") }),
  record,
});
const after = (...events: NewEvent[]) => hasReadUntrusted(reduceLog(logOf(events)));

describe("what a session has read", () => {
  it.each([
    ["a person's message", userMessage("1", "hello")],
    ["a tool's result", result(null)],
    ["a tool's result with figures", result({ sandbox_awake_ms: 1 })],
    ["the end of a wait for an instant", recordEvent("x.wait_ended", { tool_use_id: "1", content: [] })],
    ["a trusted thread's answer", recordEvent("x.thread_settled", { tool_use_id: "1", content: [] })],
    [
      "input that was passed on to a thread",
      publicEvent("user.custom_tool_result", { content: text("x") }, { record: { passed_on: true } }),
    ],
  ])("is trusted: %s", (_name, event) => {
    expect(after(event)).toBe(false);
  });

  it.each([
    ["what a client's tool answers", publicEvent("user.custom_tool_result", { content: text("x") })],
    ["what a worker's tool answers", publicEvent("user.tool_result", { content: text("x") })],
    ["a message that quotes others", publicEvent("user.message", { content: [], x_exoloop: { untrusted: true } })],
    ["a marked file", result({ untrusted: true })],
    ["what came to a webhook before it was waited for", result({ delivery: "whk_1 1" })],
    ["what came to a webhook", recordEvent("x.wait_ended", { tool_use_id: "1", content: [], delivery: "whk_1 1" })],
    ["the task of an untrusted session", recordEvent("x.delegated", { parent_id: "p", untrusted: true })],
    ["an untrusted thread's answer", recordEvent("x.thread_settled", { tool_use_id: "1", untrusted: true })],
    ["a workspace of an untrusted session", recordEvent("x.workspace_untrusted", {})],
  ])("is untrusted, and stays so: %s", (_name, event) => {
    expect(after(event)).toBe(true);
    expect(after(event, userMessage("2", "thanks"), result(null))).toBe(true);
    expect(after(userMessage("2", "thanks"), result(null))).toBe(false);
  });
});

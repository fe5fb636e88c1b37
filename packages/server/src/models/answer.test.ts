import type { LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { expect, test } from "vitest";
import { addPart, answerContent, createAnswer } from "./answer.ts";

function collect(parts: readonly LanguageModelV4StreamPart[]) {
  const answer = createAnswer();
  const told = parts.flatMap((part) => addPart(answer, part));
  return { told, content: answerContent(answer) };
}

test("an empty text never begins", () => {
  const { told, content } = collect([
    { type: "text-start", id: "0" },
    { type: "text-delta", id: "0", delta: "" },
    { type: "text-end", id: "0" },
    { type: "text-delta", id: "unknown", delta: "lost" },
  ]);
  expect(told).toEqual([]);
  expect(content).toEqual([]);
});

test("parts keep the order of their beginnings, also where a text ends after the calls that follow it", () => {
  const { told, content } = collect([
    { type: "text-start", id: "0" },
    { type: "text-delta", id: "0", delta: "I look." },
    { type: "tool-input-start", id: "a", toolName: "bash" },
    { type: "tool-input-start", id: "b", toolName: "read" },
    { type: "tool-call", toolCallId: "b", toolName: "read", input: "" },
    { type: "tool-call", toolCallId: "a", toolName: "bash", input: '{"command":"ls"}' },
    { type: "tool-call", toolCallId: "c", toolName: "bash", input: "[]" },
    { type: "text-end", id: "0" },
  ]);
  expect(told.map((part) => part.type)).toEqual([
    "text_start",
    "text_delta",
    "tool_call_start",
    "tool_call_start",
    "tool_call_start",
    "text_end",
  ]);
  expect(content).toEqual([
    { type: "text", text: "I look." },
    { type: "tool_call", callId: "a", toolName: "bash", input: { command: "ls" } },
    { type: "tool_call", callId: "b", toolName: "read", input: {} },
    { type: "tool_call", callId: "c", toolName: "bash", input: null, malformed: "[]" },
  ]);
});

test("a block that begins again under the same name is another part", () => {
  const { content } = collect([
    { type: "text-start", id: "0" },
    { type: "text-delta", id: "0", delta: "One." },
    { type: "text-end", id: "0" },
    { type: "reasoning-start", id: "0" },
    { type: "reasoning-end", id: "0" },
    { type: "text-start", id: "0" },
    { type: "text-delta", id: "0", delta: "Two." },
    { type: "text-end", id: "0" },
  ]);
  expect(content.map((part) => (part.type === "tool_call" ? "" : part.text))).toEqual(["One.", "", "Two."]);
});

test("a provider's data is gathered from start, deltas and end", () => {
  const { content } = collect([
    { type: "reasoning-start", id: "0", providerMetadata: { openai: { itemId: "r", sealed: null } } },
    { type: "reasoning-delta", id: "0", delta: "Hm.", providerMetadata: { other: { signature: "s" } } },
    { type: "reasoning-end", id: "0", providerMetadata: { openai: { sealed: "x" } } },
  ]);
  const providerData = { openai: { itemId: "r", sealed: "x" }, other: { signature: "s" } };
  expect(content).toEqual([{ type: "thinking", text: "Hm.", providerData }]);
});

test("malformed arguments are cut, and a call without arguments is no call", () => {
  const { content } = collect([
    { type: "tool-call", toolCallId: "a", toolName: "write", input: `{"content":"${"x".repeat(9000)}` },
    { type: "tool-input-start", id: "b", toolName: "bash" },
  ]);
  expect(content).toMatchObject([{ callId: "a", input: null, malformed: expect.stringMatching(/^\{"content":"x+$/) }]);
  expect(content[0]?.type === "tool_call" && content[0].malformed?.length).toBe(4000);
});

test("an endless answer is refused", () => {
  const answer = createAnswer();
  addPart(answer, { type: "text-start", id: "0" });
  const add = () => addPart(answer, { type: "text-delta", id: "0", delta: "x".repeat(1024 * 1024) });
  for (let piece = 0; piece < 16; piece++) add();
  expect(add).toThrow("longer than 16 MiB");
});

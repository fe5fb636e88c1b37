import { expect, test } from "vitest";
import type { ModelAdapter, TranscriptMessage } from "./model.ts";
import { createScriptedModels, splitText } from "./scripted-model.ts";
import { collectAnswer, continueWith, modelRequest, userMessage } from "./testing/model-calls.ts";

const models = createScriptedModels({});

function scriptMessage(steps: unknown): TranscriptMessage {
  return userMessage(`Play this.\n\n\`\`\`script\n${JSON.stringify(steps, null, 2)}\n\`\`\`\n`);
}

function play(steps: unknown, provider: ModelAdapter = models) {
  return collectAnswer(provider, modelRequest({ model: "scripted", messages: [scriptMessage(steps)] }));
}

test("plays the step after the answers since the script", async () => {
  const script = scriptMessage([
    { text: "One.", toolCalls: [{ name: "bash", input: { command: "ls" } }] },
    { text: "Two." },
  ]);
  const before: TranscriptMessage[] = [
    userMessage("Hi."),
    { role: "assistant", content: [{ type: "text", text: "Hi." }] },
  ];
  const first = await collectAnswer(models, modelRequest({ model: "scripted", messages: [...before, script] }));
  expect(first.content).toMatchObject([{ text: "One." }, { type: "tool_call", input: { command: "ls" } }]);
  const rest = [...before, script, ...continueWith(first, "a file")];
  const second = await collectAnswer(models, modelRequest({ model: "scripted/inline", messages: rest }));
  expect(second.text).toBe("Two.");
  const third = await collectAnswer(
    models,
    modelRequest({ model: "scripted", messages: [...rest, ...continueWith(second, "")] }),
  );
  expect(third.text).toBe("The script has ended after 2 steps.");
});

test("the last script counts, and a message without one changes nothing", async () => {
  const messages = [scriptMessage([{ text: "Old." }]), scriptMessage([{ text: "New." }]), userMessage("Go on.")];
  expect((await collectAnswer(models, modelRequest({ model: "scripted", messages }))).text).toBe("New.");
});

test("streams thought, text and calls in order, with the figures of the step", async () => {
  const text = "A text that is long enough to arrive in several pieces, one after the other.";
  const usage = { input: 10, output: 5, cacheRead: 4 };
  const answer = await play([{ thinking: "Hm.", text, usage, toolCalls: [{ name: "bash", input: {} }] }]);
  expect(answer.text).toBe(text);
  expect(answer.parts.map((part) => part.type).filter((type) => type !== "text_delta")).toEqual([
    "thinking_start",
    "thinking_end",
    "text_start",
    "text_end",
    "tool_call_start",
    "finish",
  ]);
  expect(answer.content.map((part) => part.type)).toEqual(["thinking", "text", "tool_call"]);
  expect(answer.usage).toEqual({ ...usage, cacheWrite: 0, estimated: false });
  expect(splitText(text).join("")).toBe(text);
});

test.each([
  ["[", "The script is not valid."],
  ["{}", "array"],
  ["[]", "The script is not valid."],
  ['[{"txt": "a"}]', "txt"],
  ['[{"text": "a"}, {"delayMs": -1}]', "1.delayMs"],
  ['[{"toolCalls": [{"name": "bash", "input": "ls"}]}]', "0.toolCalls.0.input"],
])("says what is wrong with %s", async (source, problem) => {
  const messages = [userMessage(`\`\`\`script\n${source}\n\`\`\``)];
  const answer = await collectAnswer(models, modelRequest({ model: "scripted", messages }));
  expect(answer.text).toContain("The script is not valid.");
  expect(answer.text).toContain(problem);
});

test("without a script it repeats what it was told, and says how to write one", async () => {
  const answer = await collectAnswer(models, modelRequest({ model: "scripted" }));
  expect(answer.text).toContain("You said: Hello.");
  expect(answer.text).toContain("```script");
  expect(answer.usage.estimated).toBe(true);
});

test("fails as often as the script says, then plays the step, and forgets", async () => {
  const provider = createScriptedModels({});
  const steps = [{ text: "At last.", fault: { kind: "rate_limited", retryAfterMs: 20, times: 2 } }];
  for (const round of [1, 2]) {
    await expect(play(steps, provider), `round ${round}`).rejects.toMatchObject({
      kind: "rate_limited",
      retryAfterMs: 20,
    });
    await expect(play(steps, provider)).rejects.toMatchObject({ kind: "rate_limited" });
    expect((await play(steps, provider)).text).toBe("At last.");
  }
});

test("other faults", async () => {
  const toolCalls = [{ name: "bash", input: { command: "ls" } }];
  const text = "Half of this is lost.";
  await expect(play([{ text, fault: { kind: "overloaded" } }])).rejects.toMatchObject({ kind: "overloaded" });
  await expect(play([{ text, fault: { kind: "server_error" } }])).rejects.toMatchObject({ kind: "unavailable" });
  await expect(play([{ text, fault: { kind: "disconnect" } }])).rejects.toMatchObject({ kind: "unavailable" });
  expect((await play([{ text, fault: { kind: "empty" } }])).content).toEqual([]);
  expect((await play([{ text, fault: { kind: "length" } }])).finishReason).toBe("length");
  const cut = await play([{ toolCalls: [...toolCalls, ...toolCalls], fault: { kind: "length" } }]);
  expect(cut.content).toMatchObject([{ input: { command: "ls" } }, { input: null, malformed: '{"comman' }]);
  expect((await play([{ text, fault: { kind: "refusal" } }])).finishReason).toBe("refusal");
  const malformed = await play([{ toolCalls, fault: { kind: "malformed_arguments" } }]);
  expect(malformed.content).toMatchObject([{ type: "tool_call", input: null, malformed: '{"command":"ls",' }]);
});

test("an abort ends a delay", async () => {
  const abort = new AbortController();
  const messages = [scriptMessage([{ text: "Late.", delayMs: 60_000 }])];
  const answer = collectAnswer(models, modelRequest({ model: "scripted", messages, abortSignal: abort.signal }));
  abort.abort();
  await expect(answer).rejects.toMatchObject({ kind: "aborted" });
});

test("brains are models; unknown ones are not", async () => {
  const provider = createScriptedModels({ count: ({ messages }) => ({ text: `${messages.length} message` }) });
  expect((await collectAnswer(provider, modelRequest({ model: "scripted/count" }))).text).toBe("1 message");
  expect(provider.serves("scripted/other")).toBe(false);
  expect(provider.serves("scripted/constructor")).toBe(false);
  await expect(collectAnswer(provider, modelRequest({ model: "scripted/other" }))).rejects.toMatchObject({
    kind: "not_configured",
    message: expect.stringContaining("scripted/count"),
  });
});

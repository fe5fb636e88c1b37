import { expect, test } from "vitest";
import type { TranscriptMessage } from "./model.ts";
import { defaultPromptOptions, toPrompt } from "./prompt.ts";
import { modelRequest, userMessage } from "./testing/model-calls.ts";

const image = { type: "image", mediaType: "image/png", base64: "aGk=" } as const;
const file = { type: "file", mediaType: "image/png", data: { type: "data", data: "aGk=" } };

function result(
  content: Extract<TranscriptMessage, { role: "tool" }>["results"][number]["content"],
  isError = false,
): TranscriptMessage {
  return { role: "tool", results: [{ callId: "a:1", toolName: "bash", content, isError }] };
}

function convert(messages: readonly TranscriptMessage[], options = defaultPromptOptions) {
  return toPrompt(modelRequest({ model: "m", system: "", messages }), options);
}

test("empty texts go, and messages that held nothing else", () => {
  const empty = { type: "text", text: " \n" } as const;
  const messages: TranscriptMessage[] = [
    userMessage("Hi."),
    { role: "assistant", content: [empty] },
    { role: "assistant", content: [empty, { type: "text", text: "Hello." }] },
  ];
  expect(convert(messages)).toEqual([
    { role: "user", content: [{ type: "text", text: "Hi." }] },
    { role: "assistant", content: [{ type: "text", text: "Hello." }] },
  ]);
});

test("images go to the model where its protocol has a place for them", () => {
  const messages = [{ role: "user", content: [image] } as const, result([{ type: "text", text: "See:" }, image])];
  expect(convert(messages, { ...defaultPromptOptions, filesInResults: true })).toMatchObject([
    { role: "user", content: [file] },
    { role: "tool", content: [{ output: { type: "content", value: [{ type: "text", text: "See:" }, file] } }] },
  ]);
  expect(convert(messages)).toMatchObject([
    { role: "user", content: [file] },
    {
      role: "tool",
      content: [{ output: { type: "text", value: "See:\n[an image that this model cannot be shown]" } }],
    },
  ]);
});

test("documents go there too, and are text elsewhere", () => {
  const document = { type: "document", mediaType: "application/pdf", base64: "aGk=", text: "[page 1 of 1]" } as const;
  const sent = { type: "file", mediaType: "application/pdf", data: { type: "data", data: "aGk=" } };
  expect(convert([result([document])], { ...defaultPromptOptions, filesInResults: true })).toMatchObject([
    { content: [{ output: { type: "content", value: [sent] } }] },
  ]);
  expect(convert([result([document])])).toMatchObject([
    { content: [{ output: { type: "text", value: "[page 1 of 1]" } }] },
  ]);
});

test("a failed call says so", () => {
  const failed = result([{ type: "text", text: "No such file." }], true);
  expect(convert([failed])).toMatchObject([{ content: [{ output: { type: "error-text", value: "No such file." } }] }]);
});

test("calls and results are renamed alike, and malformed arguments become none", () => {
  const call = { type: "tool_call", callId: "a:1", toolName: "bash", input: null, malformed: "{" } as const;
  const options = { ...defaultPromptOptions, callId: (id: string) => id.replace(":", "_") };
  expect(convert([{ role: "assistant", content: [call] }, result([])], options)).toMatchObject([
    { content: [{ toolCallId: "a_1", input: {} }] },
    { content: [{ toolCallId: "a_1", output: { type: "text", value: "" } }] },
  ]);
});

test("a provider's data returns unchanged", () => {
  const providerData = { anthropic: { signature: "s" } };
  const content = [{ type: "thinking", text: "Hm.", providerData }] as const;
  expect(convert([{ role: "assistant", content }])).toEqual([
    { role: "assistant", content: [{ type: "reasoning", text: "Hm.", providerOptions: providerData }] },
  ]);
});

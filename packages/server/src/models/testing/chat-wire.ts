/** The Chat Completions protocol of the stand-in server. @module */
import { z } from "zod";
import type { AssistantPart, TranscriptMessage } from "../model.ts";
import { splitText } from "../scripted-model.ts";
import {
  isEmptyAnswer,
  parseArguments,
  plannedCalls,
  type ServedStep,
  type Wire,
  type WireEvent,
  WireRefusal,
} from "./wire.ts";

const text = z.union([z.string(), z.array(z.object({ type: z.string(), text: z.string().default("") }))]).nullish();
const call = z.object({ id: z.string(), function: z.object({ name: z.string(), arguments: z.string() }) });
const message = z.discriminatedUnion("role", [
  z.object({ role: z.literal("system"), content: text }),
  z.object({ role: z.literal("developer"), content: text }),
  z.object({ role: z.literal("user"), content: text }),
  z.object({
    role: z.literal("assistant"),
    content: text,
    reasoning_content: z.string().nullish(),
    tool_calls: z.array(call).nullish(),
  }),
  z.object({ role: z.literal("tool"), tool_call_id: z.string(), content: text }),
]);
const tool = z.object({
  function: z.object({ name: z.string(), description: z.string(), parameters: z.record(z.string(), z.unknown()) }),
});
const request = z.object({ messages: z.array(message).min(1), tools: z.array(tool).default([]) });

export const chatWire: Wire = {
  path: "/v1/chat/completions",
  read(body) {
    const parsed = request.safeParse(body);
    if (!parsed.success) throw new WireRefusal(z.prettifyError(parsed.error));
    const tools = parsed.data.tools.map(({ function: { name, description, parameters } }) => ({
      name,
      description,
      inputSchema: parameters,
    }));
    return { messages: readMessages(parsed.data.messages), tools };
  },
  events(step, model) {
    const chunk = (delta: unknown, finish: string | null = null): WireEvent => ({
      data: { ...completion(model, "chat.completion.chunk"), choices: [{ index: 0, delta, finish_reason: finish }] },
    });
    const content = isEmptyAnswer(step) ? [] : deltas(step).map((delta) => chunk(delta));
    const figures: WireEvent = {
      data: { ...completion(model, "chat.completion.chunk"), choices: [], usage: usage(step) },
    };
    return [
      chunk({ role: "assistant", content: "" }),
      ...content,
      chunk({}, finishReason(step)),
      ...(step.usage === undefined ? [] : [figures]),
    ];
  },
  whole(step, model) {
    const calls = plannedCalls(step, "call_").map(({ id, ...rest }) => ({ id, type: "function", function: rest }));
    const answer = {
      role: "assistant",
      content: isEmptyAnswer(step) ? null : (step.text ?? null),
      ...(step.thinking === undefined ? {} : { reasoning_content: step.thinking }),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    };
    const choices = [{ index: 0, finish_reason: finishReason(step), message: answer }];
    return { ...completion(model, "chat.completion"), choices, usage: usage(step) };
  },
  error: (type, text) => ({ error: { type, code: type, message: text, param: null } }),
  streamError: (type) => ({ data: { error: { type, code: type, message: "The stand-in fails.", param: null } } }),
  end: "[DONE]",
};

function completion(model: string, object: string) {
  return { id: "chatcmpl-standin", object, created: 1, model };
}

function deltas(step: ServedStep): readonly unknown[] {
  const refused = step.fault?.kind === "refusal";
  return [
    ...splitText(step.thinking ?? "").map((piece) => ({ reasoning_content: piece })),
    ...splitText(step.text ?? "").map((piece) => (refused ? { refusal: piece } : { content: piece })),
    ...plannedCalls(step, "call_").flatMap(({ id, name, arguments: written }, index) => [
      { tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] },
      ...splitText(written).map((piece) => ({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
  ];
}

function finishReason({ fault, toolCalls = [] }: ServedStep): string {
  if (fault?.kind === "length") return "length";
  return toolCalls.length > 0 ? "tool_calls" : "stop";
}

function usage({ usage: figures }: ServedStep) {
  const { input = 0, output = 0, cacheRead = 0 } = figures ?? {};
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cacheRead },
  };
}

function readMessages(messages: readonly z.infer<typeof message>[]): TranscriptMessage[] {
  const names = new Map<string, string>();
  return messages.flatMap((entry): TranscriptMessage[] => {
    const content = [{ type: "text", text: readText(entry.content) }] as const;
    switch (entry.role) {
      case "user":
        return [{ role: "user", content }];
      case "assistant": {
        for (const { id, function: named } of entry.tool_calls ?? []) names.set(id, named.name);
        return [{ role: "assistant", content: readAssistant(entry) }];
      }
      case "tool": {
        const toolName = names.get(entry.tool_call_id);
        if (toolName === undefined) throw new WireRefusal("A tool message answers no call.");
        return [{ role: "tool", results: [{ callId: entry.tool_call_id, toolName, content, isError: false }] }];
      }
      default:
        return [];
    }
  });
}

function readAssistant(entry: Extract<z.infer<typeof message>, { role: "assistant" }>): AssistantPart[] {
  const said = readText(entry.content);
  const calls = (entry.tool_calls ?? []).map(({ id, function: { name, arguments: written } }) => {
    return { type: "tool_call", callId: id, toolName: name, input: parseArguments(written) } as const;
  });
  return [
    ...(entry.reasoning_content ? [{ type: "thinking", text: entry.reasoning_content } as const] : []),
    ...(said === "" ? [] : [{ type: "text", text: said } as const]),
    ...calls,
  ];
}

function readText(content: z.infer<typeof text>): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((piece) => piece.text).join("\n");
}

/** The Messages protocol of the stand-in server. Checks seals of thoughts and pairs of calls as the service does. @module */
import { z } from "zod";
import type { AssistantPart, TranscriptMessage } from "../model.ts";
import { splitText } from "../scripted-model.ts";
import {
  isEmptyAnswer,
  plannedCalls,
  type ServedStep,
  sealThought,
  type Wire,
  type WireEvent,
  WireRefusal,
} from "./wire.ts";

const text = z.object({ type: z.literal("text"), text: z.string().min(1) });
const image = z.object({ type: z.literal("image"), source: z.object({ media_type: z.string(), data: z.string() }) });
const block = z.discriminatedUnion("type", [
  text,
  image,
  z.object({ type: z.literal("thinking"), thinking: z.string(), signature: z.string() }),
  z.object({
    type: z.literal("tool_use"),
    id: z.string().regex(/^[\w-]+$/),
    name: z.string(),
    input: z.record(z.string(), z.unknown()),
  }),
  z.object({
    type: z.literal("tool_result"),
    tool_use_id: z.string(),
    is_error: z.boolean().default(false),
    content: z.union([z.string(), z.array(z.discriminatedUnion("type", [text, image]))]),
  }),
]);
const request = z.object({
  messages: z.array(z.object({ role: z.enum(["user", "assistant"]), content: z.array(block).min(1) })).min(1),
  tools: z
    .array(z.object({ name: z.string(), description: z.string(), input_schema: z.record(z.string(), z.unknown()) }))
    .default([]),
});

type Block = z.infer<typeof block>;

export const messagesWire: Wire = {
  path: "/v1/messages",
  read(body) {
    const parsed = request.safeParse(body);
    if (!parsed.success) throw new WireRefusal(z.prettifyError(parsed.error));
    const names = new Map<string, string>();
    const messages = parsed.data.messages.flatMap(({ role, content }, index): TranscriptMessage[] => {
      if (role === "user") return readUser(content, names);
      checkAnswered(content, parsed.data.messages[index + 1]?.content ?? []);
      for (const part of content) if (part.type === "tool_use") names.set(part.id, part.name);
      return [{ role: "assistant", content: content.flatMap(readAssistant) }];
    });
    const tools = parsed.data.tools.map(({ name, description, input_schema: inputSchema }) => ({
      name,
      description,
      inputSchema,
    }));
    return { messages, tools };
  },
  events(step, model) {
    const event = (data: { readonly type: string; readonly [key: string]: unknown }): WireEvent => ({
      event: data.type,
      data,
    });
    const blocks = isEmptyAnswer(step) ? [] : blockEvents(step);
    return [
      event({
        type: "message_start",
        message: { ...message(model), content: [], stop_reason: null, usage: { ...usage(step), output_tokens: 1 } },
      }),
      event({ type: "ping" }),
      ...blocks.flatMap(({ start, deltas }, index) => [
        event({ type: "content_block_start", index, content_block: start }),
        ...deltas.map((delta) => event({ type: "content_block_delta", index, delta })),
        event({ type: "content_block_stop", index }),
      ]),
      event({
        type: "message_delta",
        delta: { stop_reason: stopReason(step), stop_sequence: null },
        usage: { output_tokens: usage(step).output_tokens },
      }),
      event({ type: "message_stop" }),
    ];
  },
  whole(step, model) {
    const calls = plannedCalls(step, "toolu_").map((call) => ({
      type: "tool_use",
      id: call.id,
      name: call.name,
      input: JSON.parse(call.arguments) as unknown,
    }));
    const thought = { type: "thinking", thinking: step.thinking, signature: sealThought(step.thinking ?? "") };
    const content = [
      ...(step.thinking ? [thought] : []),
      ...(step.text ? [{ type: "text", text: step.text }] : []),
      ...calls,
    ];
    return {
      ...message(model),
      content: isEmptyAnswer(step) ? [] : content,
      stop_reason: stopReason(step),
      usage: usage(step),
    };
  },
  error: (type, text) => ({ type: "error", error: { type, message: text } }),
  streamError: (type) => ({ event: "error", data: { type: "error", error: { type, message: "The stand-in fails." } } }),
};

function message(model: string) {
  return { id: "msg_standin", type: "message", role: "assistant", model, stop_sequence: null };
}

function blockEvents(step: ServedStep) {
  const thought =
    step.thinking === undefined
      ? []
      : [
          {
            start: { type: "thinking", thinking: "", signature: "" },
            deltas: [
              ...splitText(step.thinking).map((piece) => ({ type: "thinking_delta", thinking: piece })),
              { type: "signature_delta", signature: sealThought(step.thinking) },
            ],
          },
        ];
  const said = step.text
    ? [
        {
          start: { type: "text", text: "" },
          deltas: splitText(step.text).map((piece) => ({ type: "text_delta", text: piece })),
        },
      ]
    : [];
  const calls = plannedCalls(step, "toolu_").map((call) => ({
    start: { type: "tool_use", id: call.id, name: call.name, input: {} },
    deltas: splitText(call.arguments).map((piece) => ({ type: "input_json_delta", partial_json: piece })),
  }));
  return [...thought, ...said, ...calls];
}

function stopReason({ fault, toolCalls = [] }: ServedStep): string {
  if (fault?.kind === "length") return "max_tokens";
  if (fault?.kind === "refusal") return "refusal";
  return toolCalls.length > 0 ? "tool_use" : "end_turn";
}

/** The service counts input apart from what its cache holds. */
function usage({ usage: figures }: ServedStep) {
  const { input = 0, output = 0, cacheRead = 0, cacheWrite = 0 } = figures ?? {};
  return {
    input_tokens: input - cacheRead - cacheWrite,
    output_tokens: output,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
  };
}

function readUser(content: readonly Block[], names: ReadonlyMap<string, string>): TranscriptMessage[] {
  const results = content.filter((part) => part.type === "tool_result");
  const given = content.flatMap((part) => (part.type === "text" || part.type === "image" ? [readContent(part)] : []));
  const tool: TranscriptMessage = {
    role: "tool",
    results: results.map((result) => ({
      callId: result.tool_use_id,
      toolName: names.get(result.tool_use_id) ?? "",
      content:
        typeof result.content === "string" ? [{ type: "text", text: result.content }] : result.content.map(readContent),
      isError: result.is_error,
    })),
  };
  return [
    ...(results.length > 0 ? [tool] : []),
    ...(given.length > 0 ? [{ role: "user" as const, content: given }] : []),
  ];
}

function readContent(part: z.infer<typeof text> | z.infer<typeof image>) {
  return part.type === "text"
    ? part
    : ({ type: "image", mediaType: part.source.media_type, base64: part.source.data } as const);
}

function readAssistant(part: Block): AssistantPart[] {
  switch (part.type) {
    case "text":
      return [{ type: "text", text: part.text }];
    case "thinking":
      if (part.signature !== sealThought(part.thinking)) throw new WireRefusal("Invalid signature in thinking block.");
      return [{ type: "thinking", text: part.thinking }];
    case "tool_use":
      return [{ type: "tool_call", callId: part.id, toolName: part.name, input: part.input }];
    default:
      return [];
  }
}

function checkAnswered(content: readonly Block[], next: readonly Block[]): void {
  const answered = next.flatMap((part) => (part.type === "tool_result" ? [part.tool_use_id] : []));
  const open = content.find((part) => part.type === "tool_use" && !answered.includes(part.id));
  if (open !== undefined)
    throw new WireRefusal("tool_use ids were found without tool_result blocks immediately after.");
}

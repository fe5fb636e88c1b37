/** The Responses protocol of the stand-in server. Sealed reasoning must come back as it was given. @module */
import { z } from "zod";
import type { AssistantPart, TranscriptMessage } from "../model.ts";
import { splitText } from "../scripted-model.ts";
import {
  isEmptyAnswer,
  parseArguments,
  plannedCalls,
  type ServedStep,
  sealThought,
  type Wire,
  type WireEvent,
  WireRefusal,
} from "./wire.ts";

const part = z.object({ type: z.string(), text: z.string().default("") });
const item = z.union([
  z.object({ type: z.literal("function_call"), call_id: z.string(), name: z.string(), arguments: z.string() }),
  z.object({
    type: z.literal("function_call_output"),
    call_id: z.string(),
    output: z.union([z.string(), z.array(part)]),
  }),
  z.object({
    type: z.literal("reasoning"),
    encrypted_content: z.string().nullish(),
    summary: z.array(z.object({ text: z.string() })),
  }),
  z.object({
    role: z.enum(["system", "developer", "user", "assistant"]),
    content: z.union([z.string(), z.array(part)]),
  }),
]);
const request = z.object({
  input: z.array(item).min(1),
  tools: z
    .array(z.object({ name: z.string(), description: z.string(), parameters: z.record(z.string(), z.unknown()) }))
    .default([]),
});

type Item = z.infer<typeof item>;

export const responsesWire: Wire = {
  path: "/v1/responses",
  read(body) {
    const parsed = request.safeParse(body);
    if (!parsed.success) throw new WireRefusal(z.prettifyError(parsed.error));
    const tools = parsed.data.tools.map(({ name, description, parameters }) => ({
      name,
      description,
      inputSchema: parameters,
    }));
    return { messages: readMessages(parsed.data.input), tools };
  },
  events(step, model) {
    const event = (type: string, data: Record<string, unknown>): WireEvent => ({
      event: type,
      data: { type, ...data },
    });
    const created = response(step, model, "in_progress", []);
    const items = isEmptyAnswer(step) ? [] : outputItems(step);
    const last = step.fault?.kind === "length" ? "response.incomplete" : "response.completed";
    return [
      event("response.created", { response: created }),
      event("response.in_progress", { response: created }),
      ...items.flatMap(({ added, done, deltas }, index) => [
        event("response.output_item.added", { output_index: index, item: added }),
        ...deltas.map(({ type, ...delta }) => event(type, { output_index: index, item_id: added.id, ...delta })),
        event("response.output_item.done", { output_index: index, item: done }),
      ]),
      event(last, { response: finished(step, model) }),
    ];
  },
  whole: (step, model) => finished(step, model),
  error: (type, message) => ({ error: { type, code: type, message, param: null } }),
  streamError: (type) => ({
    event: "error",
    data: {
      type: "error",
      sequence_number: 9,
      error: { type, code: type, message: "The stand-in fails.", param: null },
    },
  }),
};

function finished(step: ServedStep, model: string) {
  const items = isEmptyAnswer(step) ? [] : outputItems(step);
  const output = items.map(({ done }) => done);
  return response(step, model, step.fault?.kind === "length" ? "incomplete" : "completed", output);
}

function response(step: ServedStep, model: string, status: string, output: readonly unknown[]) {
  const { usage } = step;
  return {
    id: "resp_standin",
    object: "response",
    created_at: 1,
    model,
    status,
    output,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    ...(usage === undefined || status === "in_progress"
      ? { usage: null }
      : {
          usage: {
            input_tokens: usage.input,
            input_tokens_details: { cached_tokens: usage.cacheRead ?? 0, cache_write_tokens: usage.cacheWrite ?? 0 },
            output_tokens: usage.output,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: usage.input + usage.output,
          },
        }),
  };
}

function outputItems(step: ServedStep) {
  return [...reasoningItems(step), ...messageItems(step), ...callItems(step)];
}

function reasoningItems({ thinking }: ServedStep) {
  if (thinking === undefined) return [];
  const added = {
    type: "reasoning",
    id: `rs_${sealThought(thinking).slice(0, 8)}`,
    summary: [],
    encrypted_content: null,
  };
  const type = "response.reasoning_summary_text.delta";
  return [
    {
      added,
      done: { ...added, summary: [{ type: "summary_text", text: thinking }], encrypted_content: sealThought(thinking) },
      deltas: [
        { type: "response.reasoning_summary_part.added", summary_index: 0 },
        ...splitText(thinking).map((delta) => ({ type, summary_index: 0, delta })),
        { type: "response.reasoning_summary_part.done", summary_index: 0 },
      ],
    },
  ];
}

function messageItems({ text = "", fault }: ServedStep) {
  if (text === "") return [];
  const refused = fault?.kind === "refusal";
  const content = refused ? { type: "refusal", refusal: text } : { type: "output_text", text, annotations: [] };
  const added = { type: "message", id: "msg_standin", role: "assistant", status: "in_progress", content: [] };
  const type = refused ? "response.refusal.delta" : "response.output_text.delta";
  const deltas = splitText(text).map((delta) => ({ type, content_index: 0, delta }));
  return [{ added, done: { ...added, status: "completed", content: [content] }, deltas }];
}

function callItems(step: ServedStep) {
  return plannedCalls(step, "call_").map((call, index) => {
    const added = {
      type: "function_call",
      id: `fc_${index}`,
      call_id: call.id,
      name: call.name,
      arguments: "",
      status: "in_progress",
    };
    const type = "response.function_call_arguments.delta";
    const deltas = splitText(call.arguments).map((delta) => ({ type, delta }));
    return { added, done: { ...added, arguments: call.arguments, status: "completed" }, deltas };
  });
}

function readMessages(items: readonly Item[]): TranscriptMessage[] {
  const names = new Map<string, string>();
  const messages: TranscriptMessage[] = [];
  for (const entry of items) {
    if ("role" in entry && entry.role !== "assistant") {
      if (entry.role === "user")
        messages.push({ role: "user", content: [{ type: "text", text: readText(entry.content) }] });
    } else if ("type" in entry && entry.type === "function_call_output") {
      const toolName = names.get(entry.call_id);
      if (toolName === undefined)
        throw new WireRefusal(`No tool call found for function call output ${entry.call_id}.`);
      const content = [{ type: "text", text: readText(entry.output) }] as const;
      messages.push({ role: "tool", results: [{ callId: entry.call_id, toolName, content, isError: false }] });
    } else {
      if ("type" in entry && entry.type === "function_call") names.set(entry.call_id, entry.name);
      const last = messages.at(-1);
      const content = [...(last?.role === "assistant" ? last.content : []), readAssistant(entry)];
      messages.splice(last?.role === "assistant" ? -1 : messages.length, 1, { role: "assistant", content });
    }
  }
  return messages;
}

function readAssistant(entry: Item): AssistantPart {
  if ("role" in entry) return { type: "text", text: readText(entry.content) };
  if (entry.type === "function_call") {
    return { type: "tool_call", callId: entry.call_id, toolName: entry.name, input: parseArguments(entry.arguments) };
  }
  if (entry.type !== "reasoning") throw new WireRefusal("An item of the input has no place.");
  const text = entry.summary.map((summary) => summary.text).join("");
  if (entry.encrypted_content !== sealThought(text))
    throw new WireRefusal("The encrypted content could not be verified.");
  return { type: "thinking", text };
}

function readText(content: string | readonly z.infer<typeof part>[]): string {
  return typeof content === "string" ? content : content.map((piece) => piece.text).join("\n");
}

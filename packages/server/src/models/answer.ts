/** Collects a provider's stream into an answer's parts, and tells of their beginnings on the way. @module */
import type { LanguageModelV4StreamPart, SharedV4ProviderMetadata } from "@ai-sdk/provider";
import { type AssistantPart, ModelError, type ModelStreamPart, type ProviderData } from "./model.ts";
import { parseToolArguments } from "./tool-arguments.ts";

const longestAnswer = 16 * 1024 * 1024;

interface BlockDraft {
  readonly type: "text" | "thinking";
  text: string;
  providerData: ProviderData | undefined;
}

interface CallDraft {
  readonly type: "tool_call";
  readonly callId: string;
  part: AssistantPart | null;
}

/** An answer in the making. Its parts keep the order in which they began. */
export interface Answer {
  readonly drafts: (BlockDraft | CallDraft)[];
  /** Blocks that have begun and not ended, by the provider's identifiers. */
  readonly open: Map<string, BlockDraft>;
  /** Characters so far. */
  length: number;
}

export function createAnswer(): Answer {
  return { drafts: [], open: new Map(), length: 0 };
}

/**
 * Adds a part, and returns what is to be told of it. Each text or thought in {@link answerContent} has had exactly one
 * `text_start` or `thinking_start`, in the same order: a text begins with its first character, so none is empty.
 */
export function addPart(answer: Answer, part: LanguageModelV4StreamPart): readonly ModelStreamPart[] {
  switch (part.type) {
    case "text-start":
      openBlock(answer, "text", part.id, part.providerMetadata);
      return [];
    case "text-delta":
      return extendText(answer, part.id, part.delta, part.providerMetadata);
    case "text-end":
      return closeBlock(answer, "text", part.id, part.providerMetadata) ? [{ type: "text_end" }] : [];
    case "reasoning-start":
      answer.drafts.push(openBlock(answer, "thinking", part.id, part.providerMetadata));
      return [{ type: "thinking_start" }];
    case "reasoning-delta":
      extendBlock(answer, "thinking", part.id, part.delta, part.providerMetadata);
      return [];
    case "reasoning-end":
      return closeBlock(answer, "thinking", part.id, part.providerMetadata) ? [{ type: "thinking_end" }] : [];
    case "tool-input-start":
      return openCall(answer, part.id, part.toolName).told;
    case "tool-call": {
      const { toolCallId: callId, toolName, input } = part;
      const { draft, told } = openCall(answer, callId, toolName);
      lengthen(answer, input.length);
      draft.part = {
        type: "tool_call",
        callId,
        toolName,
        ...parseToolArguments(input),
        ...dataOf(part.providerMetadata),
      };
      return told;
    }
    default:
      return [];
  }
}

/** What has arrived. Calls whose arguments have not are left out. */
export function answerContent({ drafts }: Answer): readonly AssistantPart[] {
  return drafts.flatMap((draft): AssistantPart[] => {
    if (draft.type === "tool_call") return draft.part === null ? [] : [draft.part];
    return [{ type: draft.type, text: draft.text, ...dataOf(draft.providerData) }];
  });
}

function openBlock(
  answer: Answer,
  type: BlockDraft["type"],
  id: string,
  providerData?: SharedV4ProviderMetadata,
): BlockDraft {
  const draft: BlockDraft = { type, text: "", providerData };
  answer.open.set(`${type} ${id}`, draft);
  return draft;
}

function extendText(
  answer: Answer,
  id: string,
  delta: string,
  metadata?: SharedV4ProviderMetadata,
): readonly ModelStreamPart[] {
  const draft = extendBlock(answer, "text", id, delta, metadata);
  if (draft === undefined || delta === "") return [];
  const told = { type: "text_delta", text: delta } as const;
  if (draft.text.length > delta.length) return [told];
  answer.drafts.push(draft);
  return [{ type: "text_start" }, told];
}

function extendBlock(
  answer: Answer,
  type: BlockDraft["type"],
  id: string,
  delta: string,
  metadata?: SharedV4ProviderMetadata,
) {
  const draft = answer.open.get(`${type} ${id}`);
  if (draft === undefined) return undefined;
  draft.providerData = mergeData(draft.providerData, metadata);
  lengthen(answer, delta.length);
  draft.text += delta;
  return draft;
}

/** Whether this was a block that has been told of. */
function closeBlock(
  answer: Answer,
  type: BlockDraft["type"],
  id: string,
  metadata?: SharedV4ProviderMetadata,
): boolean {
  const draft = extendBlock(answer, type, id, "", metadata);
  answer.open.delete(`${type} ${id}`);
  return draft !== undefined && answer.drafts.includes(draft);
}

function openCall(answer: Answer, callId: string, toolName: string) {
  const known = answer.drafts.find((draft) => draft.type === "tool_call" && draft.callId === callId);
  if (known?.type === "tool_call") return { draft: known, told: [] };
  const draft: CallDraft = { type: "tool_call", callId, part: null };
  answer.drafts.push(draft);
  return { draft, told: [{ type: "tool_call_start", toolName } as const] };
}

/** A part's data arrives in pieces, at its start, with deltas and at its end; later pieces win. */
function mergeData(before: ProviderData | undefined, added: ProviderData | undefined): ProviderData | undefined {
  if (before === undefined || added === undefined) return before ?? added;
  const providers = new Set([...Object.keys(before), ...Object.keys(added)]);
  return Object.fromEntries([...providers].map((key) => [key, { ...before[key], ...added[key] }]));
}

function dataOf(providerData: ProviderData | undefined): { readonly providerData?: ProviderData } {
  return providerData === undefined ? {} : { providerData };
}

function lengthen(answer: Answer, by: number): void {
  answer.length += by;
  if (answer.length > longestAnswer) throw new ModelError("rejected", "The model's answer is longer than 16 MiB.");
}

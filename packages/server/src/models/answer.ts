/** Collects a provider's stream into an answer's parts, and tells of their beginnings on the way. @module */
import type { LanguageModelV4StreamPart, SharedV4ProviderMetadata } from "@ai-sdk/provider";
import { type AssistantPart, ModelError, type ModelStreamPart, type ProviderData } from "./model.ts";
import { parseToolArguments } from "./tool-arguments.ts";

const longestAnswer = 16 * 1024 * 1024;

interface Draft {
  readonly type: "text" | "thinking";
  readonly streamId: string;
  text: string;
  providerData: ProviderData | undefined;
}

interface CallDraft {
  readonly type: "tool_call";
  readonly callId: string;
  part: AssistantPart | null;
}

/**
 * Parts keep the order in which they began. Each text or thought in `content()` has had exactly one `text_start` or
 * `thinking_start`, in that order: a text begins with its first character, so that empty ones never exist.
 */
export function createAnswer() {
  const drafts: (Draft | CallDraft)[] = [];
  const opened = new Map<string, Draft>();
  let length = 0;

  const open = (type: Draft["type"], streamId: string, metadata: SharedV4ProviderMetadata | undefined) => {
    opened.set(`${type} ${streamId}`, { type, streamId, text: "", providerData: metadata });
  };
  const begin = (draft: Draft): ModelStreamPart[] => {
    if (drafts.includes(draft)) return [];
    drafts.push(draft);
    return [{ type: draft.type === "text" ? "text_start" : "thinking_start" }];
  };
  const add = (type: Draft["type"], id: string, delta: string, metadata?: SharedV4ProviderMetadata) => {
    const draft = opened.get(`${type} ${id}`);
    if (draft === undefined) return [];
    draft.providerData = mergeData(draft.providerData, metadata);
    if (delta === "") return [];
    length = bounded(length + delta.length);
    draft.text += delta;
    return type === "text" ? [...begin(draft), { type: "text_delta", text: delta } as const] : [];
  };
  const close = (type: Draft["type"], id: string, metadata?: SharedV4ProviderMetadata): ModelStreamPart[] => {
    const draft = opened.get(`${type} ${id}`);
    if (draft === undefined) return [];
    draft.providerData = mergeData(draft.providerData, metadata);
    opened.delete(`${type} ${id}`);
    if (!drafts.includes(draft)) return [];
    return [{ type: type === "text" ? "text_end" : "thinking_end" }];
  };
  const openCall = (callId: string, toolName: string): ModelStreamPart[] => {
    if (findCall(drafts, callId) !== undefined) return [];
    drafts.push({ type: "tool_call", callId, part: null });
    return [{ type: "tool_call_start", toolName }];
  };

  return {
    take(part: LanguageModelV4StreamPart): readonly ModelStreamPart[] {
      switch (part.type) {
        case "text-start":
          open("text", part.id, part.providerMetadata);
          return [];
        case "text-delta":
          return add("text", part.id, part.delta, part.providerMetadata);
        case "text-end":
          return close("text", part.id, part.providerMetadata);
        case "reasoning-start": {
          open("thinking", part.id, part.providerMetadata);
          const draft = opened.get(`thinking ${part.id}`);
          return draft === undefined ? [] : begin(draft);
        }
        case "reasoning-delta":
          return add("thinking", part.id, part.delta, part.providerMetadata);
        case "reasoning-end":
          return close("thinking", part.id, part.providerMetadata);
        case "tool-input-start":
          return openCall(part.id, part.toolName);
        case "tool-call": {
          const { toolCallId: callId, toolName } = part;
          const started = openCall(callId, toolName);
          length = bounded(length + part.input.length);
          const draft = findCall(drafts, callId);
          const parsed = parseToolArguments(part.input);
          if (draft !== undefined) {
            draft.part = { type: "tool_call", callId, toolName, ...parsed, ...dataOf(part.providerMetadata) };
          }
          return started;
        }
        default:
          return [];
      }
    },
    content(): readonly AssistantPart[] {
      return drafts.flatMap((draft): AssistantPart[] => {
        if (draft.type === "tool_call") return draft.part === null ? [] : [draft.part];
        return [{ type: draft.type, text: draft.text, ...dataOf(draft.providerData) }];
      });
    },
  };
}

function findCall(drafts: readonly (Draft | CallDraft)[], callId: string): CallDraft | undefined {
  return drafts.find((draft): draft is CallDraft => draft.type === "tool_call" && draft.callId === callId);
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

function bounded(length: number): number {
  if (length > longestAnswer) throw new ModelError("rejected", "The model's answer is longer than 16 MiB.");
  return length;
}

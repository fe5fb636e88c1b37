/** Tokens of one model call. @module */
import type { LanguageModelV4Usage } from "@ai-sdk/provider";
import type { AssistantPart, ModelRequest, ModelUsage, TranscriptContent, TranscriptMessage } from "./model.ts";

const charactersPerToken = 4;
/** About what providers count for an image of one megapixel. */
const tokensPerImage = 1500;
/** Ten pages, each as text and as a picture. */
const tokensPerDocument = 20_000;

/** The provider's figures, or an estimate where it sent none: some servers leave them out, some send zeros. */
export function readUsage(
  usage: LanguageModelV4Usage,
  request: ModelRequest,
  content: readonly AssistantPart[],
): ModelUsage {
  const { inputTokens, outputTokens } = usage;
  if (!inputTokens.total || outputTokens.total === undefined) return estimateUsage(request, content);
  return {
    input: inputTokens.total,
    output: outputTokens.total,
    cacheRead: inputTokens.cacheRead ?? 0,
    cacheWrite: inputTokens.cacheWrite ?? 0,
    estimated: false,
  };
}

/**
 * Four characters to the token: close enough for a budget, marked so that no bill is made of it. A call of which nothing
 * but its request is known has used its input, `content` is then empty.
 */
export function estimateUsage(
  request: Pick<ModelRequest, "system" | "tools" | "messages">,
  content: readonly AssistantPart[],
): ModelUsage {
  const output = content.reduce((total, part) => total + partLength(part), 0);
  return estimatedUsage(request, output);
}

/** The same where only the length of the answer is known, in characters. */
export function estimatedUsage(
  { system, tools, messages }: Pick<ModelRequest, "system" | "tools" | "messages">,
  outputCharacters: number,
): ModelUsage {
  const input = toTokens(system.length + JSON.stringify(tools).length + transcriptLength(messages));
  return { input, output: toTokens(outputCharacters), cacheRead: 0, cacheWrite: 0, estimated: true };
}

/** About the tokens of a transcript, by the same rule; system and tools apart. */
export function estimateTokens(messages: readonly TranscriptMessage[]): number {
  return toTokens(transcriptLength(messages));
}

function transcriptLength(messages: readonly TranscriptMessage[]): number {
  return messages.reduce((total, message) => {
    const parts = message.role === "tool" ? message.results.flatMap((result) => result.content) : message.content;
    return total + parts.reduce((sum, part) => sum + partLength(part), 0);
  }, 0);
}

function partLength(part: AssistantPart | TranscriptContent): number {
  switch (part.type) {
    case "text":
    case "thinking":
      return part.text.length;
    case "image":
      return tokensPerImage * charactersPerToken;
    case "document":
      return tokensPerDocument * charactersPerToken;
    case "tool_call":
      return part.toolName.length + (part.malformed?.length ?? JSON.stringify(part.input).length);
  }
}

function toTokens(characters: number): number {
  return Math.ceil(characters / charactersPerToken);
}

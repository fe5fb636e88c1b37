/** How much of a model's window the transcript fills, and what a compaction keeps. Pure. @module */
import type { TranscriptMessage } from "../models/model.ts";
import type { SessionState } from "../sessions/state.ts";

const charactersPerToken = 4;
const tokensPerImage = 1_500;
/** Ten pages, each as text and as a picture. */
const tokensPerDocument = 20_000;

/** Share of the window at which the transcript is compacted, before the provider refuses it. */
const fullShare = 0.8;
/** Share of the window that the messages kept word for word may fill. */
const keptShare = 0.15;

/** Tokens: the provider's last count, and an estimate of what came since. */
export function contextTokens(state: SessionState): number {
  const later = state.transcript.slice(state.context.messages);
  return state.context.tokens + later.reduce((sum, message) => sum + messageTokens(message), 0);
}

export function isContextFull(state: SessionState, contextWindow: number): boolean {
  return contextTokens(state) > contextWindow * fullShare;
}

/**
 * How many messages at the end stay word for word: as many as fit, beginning where no tool's result loses its call.
 * Zero when even the last exchange is too large.
 */
export function keptMessages(transcript: readonly TranscriptMessage[], contextWindow: number): number {
  const limit = contextWindow * keptShare;
  let tokens = 0;
  let kept = 0;
  for (let index = transcript.length - 1; index > 0; index -= 1) {
    const message = transcript[index];
    if (message === undefined) break;
    tokens += Math.min(messageTokens(message), limit / 2);
    if (tokens > limit) break;
    if (message.role !== "tool") kept = transcript.length - index;
  }
  return kept;
}

export function messageTokens(message: TranscriptMessage): number {
  const parts = message.role === "tool" ? message.results.flatMap((result) => result.content) : message.content;
  let characters = 0;
  let files = 0;
  for (const part of parts) {
    if (part.type === "text" || part.type === "thinking") characters += part.text.length;
    else if (part.type === "image") files += tokensPerImage;
    else if (part.type === "document") files += tokensPerDocument;
    else characters += part.toolName.length + JSON.stringify(part.input).length;
  }
  return Math.ceil(characters / charactersPerToken) + files;
}

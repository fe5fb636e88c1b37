/** An agent's `effort` as the AI SDK's `reasoning`, which each provider maps to what it has. @module */
import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

/** Nothing for an effort that is not one of ours: the model's own default holds. */
export function toReasoning(effort: string | undefined): Pick<LanguageModelV4CallOptions, "reasoning"> {
  const reasoning = efforts.find((known) => known === effort);
  return reasoning === undefined ? {} : { reasoning };
}

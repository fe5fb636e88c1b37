/** Claude through the Messages API. @module */
import { createAnthropic } from "@ai-sdk/anthropic";
import { getModelCapabilities } from "@ai-sdk/anthropic/internal";
import { toReasoning } from "./effort.ts";
import type { ModelAdapter } from "./model.ts";
import { parseModelName } from "./model-name.ts";
import { toFunctionTools, toPrompt } from "./prompt.ts";
import { streamStep } from "./step-stream.ts";

export interface AnthropicSettings {
  readonly apiKey: string;
  /** With or without `/v1`. */
  readonly baseUrl?: string | undefined;
}

/** Newest first within each size. */
const offered = [
  { id: "claude-sonnet-5-5", displayName: "Claude Sonnet 5.5" },
  { id: "claude-opus-5-5", displayName: "Claude Opus 5.5" },
  { id: "claude-haiku-5-5", displayName: "Claude Haiku 5.5" },
  { id: "claude-sonnet-5", displayName: "Claude Sonnet 5" },
  { id: "claude-opus-5", displayName: "Claude Opus 5" },
];

/** A cached prefix ends here. The provider orders tools, system, messages, so one on the system covers the tools. */
const cacheBreakpoint = { anthropic: { cacheControl: { type: "ephemeral" } } };

/** @example createAnthropicModels({ apiKey }).stream({ model: "claude-sonnet-5-5", … }) */
export function createAnthropicModels(settings: AnthropicSettings): ModelAdapter {
  const { apiKey } = settings;
  const anthropic = createAnthropic({ apiKey, baseURL: anthropicBaseUrl(settings.baseUrl) });
  return {
    serves: (model) => parseModelName(model)?.family === "anthropic",
    list: () => offered,
    stream(request) {
      const modelId = parseModelName(request.model)?.id ?? request.model;
      const call = {
        prompt: toPrompt(request, { filesInResults: true, callId: toCallId, cacheBreakpoint }),
        tools: toFunctionTools(request.tools),
        ...toReasoning(request.effort),
        providerOptions: {
          anthropic: {
            // Pings tell a slow answer from a dead connection. Arguments arrive whole, checked by the provider: nobody
            // here shows half of them.
            includePings: true,
            toolStreaming: false,
            ...(request.effort === undefined ? adaptiveThinking(modelId) : {}),
          },
        },
      };
      const source = { label: "Anthropic", keyVariable: "ANTHROPIC_API_KEY", modelId };
      return streamStep(anthropic(modelId), call, request, source);
    },
  };
}

/** Models that decide themselves how long to think do so, unless an effort says more. */
function adaptiveThinking(modelId: string) {
  const { supportsAdaptiveThinking, isKnownModel } = getModelCapabilities(modelId);
  return supportsAdaptiveThinking && isKnownModel ? { thinking: { type: "adaptive", display: "summarized" } } : {};
}

/** The API takes `[a-zA-Z0-9_-]+`; a transcript may hold calls that another provider has named. */
function toCallId(id: string): string {
  return id.replaceAll(/[^a-zA-Z0-9_-]/g, "_");
}

function anthropicBaseUrl(baseUrl: string | undefined): string {
  const url = (baseUrl ?? "https://api.anthropic.com").replace(/\/+$/, "");
  return url.endsWith("/v1") ? url : `${url}/v1`;
}

/** OpenAI through the Responses API, or through Chat Completions where the name says `openai-chat/`. @module */
import { createOpenAI } from "@ai-sdk/openai";
import { toReasoning } from "./effort.ts";
import type { ModelAdapter } from "./model.ts";
import { parseModelName } from "./model-name.ts";
import { defaultPromptOptions, toFunctionTools, toPrompt } from "./prompt.ts";
import { streamStep } from "./step-stream.ts";

export interface OpenAISettings {
  readonly apiKey: string;
  /** With `/v1`. */
  readonly baseUrl?: string | undefined;
}

const offered = [
  { id: "gpt-6.1-sol", displayName: "GPT-6.1 Sol" },
  { id: "gpt-6.1-terra", displayName: "GPT-6.1 Terra" },
  { id: "gpt-6-luna", displayName: "GPT-6 Luna" },
  { id: "gpt-5.5", displayName: "GPT-5.5" },
];

/** @example createOpenAIModels({ apiKey }).stream({ model: "openai-chat/gpt-5.5", … }) */
export function createOpenAIModels(settings: OpenAISettings): ModelAdapter {
  const { apiKey, baseUrl = "https://api.openai.com/v1" } = settings;
  const openai = createOpenAI({ apiKey, baseURL: baseUrl });
  return {
    serves: (model) => ["openai", "openai-chat"].includes(parseModelName(model)?.family ?? ""),
    list: () => offered,
    stream(request) {
      const name = parseModelName(request.model);
      const modelId = name?.id ?? request.model;
      const chat = name?.family === "openai-chat";
      const call = {
        prompt: toPrompt(request, { ...defaultPromptOptions, filesInResults: !chat }),
        tools: toFunctionTools(request.tools),
        ...toReasoning(request.effort),
        providerOptions: {
          // Our log is the only copy of a conversation: the provider stores none, and its reasoning travels sealed.
          // Summaries of it are left out: accounts without a verified organization may not ask for them.
          openai: chat ? { store: false } : { store: false, reasoningSummary: null },
        },
      };
      const source = { label: "OpenAI", keyVariable: "OPENAI_API_KEY", modelId };
      return streamStep(chat ? openai.chat(modelId) : openai.responses(modelId), call, request, source);
    },
  };
}

/** Any server that speaks Chat Completions: Ollama, llama.cpp, vLLM, a gateway. @module */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";
import { toReasoning } from "./effort.ts";
import { ModelError, type ModelAdapter } from "./model.ts";
import { toModelError } from "./model-failure.ts";
import { compatibleModelId } from "./model-name.ts";
import { defaultPromptOptions, toFunctionTools, toPrompt } from "./prompt.ts";
import { streamStep } from "./step-stream.ts";

export interface CompatibleSettings {
  /** With its path: `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  readonly apiKey?: string | undefined;
}

const label = "The server at OPENAI_BASE_URL";
const keyVariable = "OPENAI_API_KEY";
const listTimeoutMs = 5000;

/** @example createCompatibleModels({ baseUrl }).stream({ model: "compatible/qwen3:8b", … }) */
export function createCompatibleModels(settings: CompatibleSettings): ModelAdapter {
  const { baseUrl, apiKey } = settings;
  const key = apiKey === undefined ? {} : { apiKey };
  const server = createOpenAICompatible({ name: "compatible", baseURL: baseUrl, includeUsage: true, ...key });
  return {
    serves: (model) => compatibleModelId(model) !== null,
    list: () => [],
    stream(request) {
      const modelId = compatibleModelId(request.model) ?? request.model;
      const call = {
        prompt: toPrompt(request, defaultPromptOptions),
        tools: toFunctionTools(request.tools),
        ...toReasoning(request.effort),
      };
      return streamStep(server(modelId), call, request, { label, keyVariable, modelId });
    },
  };
}

/** The first model that the server lists. Waits at most five seconds. */
export async function firstCompatibleModel({ baseUrl, apiKey }: CompatibleSettings): Promise<string> {
  const source = { label, keyVariable, modelId: "models" };
  const url = `${baseUrl.replace(/\/+$/, "")}/models`;
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  let body: unknown;
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(listTimeoutMs) });
    if (!response.ok) throw toModelError({ statusCode: response.status }, source);
    body = await response.json();
  } catch (error) {
    throw toModelError(error, source);
  }
  const listed = z.object({ data: z.array(z.object({ id: z.string().min(1) })).min(1) }).safeParse(body);
  const first = listed.data?.data[0]?.id;
  if (first === undefined) throw new ModelError("not_configured", `${label} lists no models: name one with --model.`);
  return `compatible/${first}`;
}

/** Every adapter in front of one stand-in server, which a test starts and stops. @module */
import { createModels } from "../registry.ts";
import type { SilenceLimits } from "../watch-stream.ts";
import { type ModelServer, type ServedStep, startModelServer } from "./model-server.ts";

/** One model of each adapter and protocol. */
export const adapters = ["claude-sonnet-5-5", "openai/gpt-5.5", "openai-chat/gpt-5.5", "compatible/qwen3"];

let server: ModelServer | undefined;

/** Starts the one server. Its keys are `sk-secret`. */
export async function serve(script: readonly ServedStep[], silence?: SilenceLimits) {
  server = await startModelServer({ script });
  const models = createModels({
    anthropicApiKey: "sk-secret",
    anthropicBaseUrl: server.url,
    openaiApiKey: "sk-secret",
    openaiBaseUrl: `${server.url}/v1`,
    silence,
  });
  return { models, requests: server.requests };
}

export async function closeServer(): Promise<void> {
  await server?.close();
  server = undefined;
}

export function openAnswers(): number {
  return server?.openAnswers() ?? 0;
}

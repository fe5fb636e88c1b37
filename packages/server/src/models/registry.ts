/** All models of one installation behind one provider. @module */
import { createAnthropicModels } from "./anthropic.ts";
import { repairBrain } from "./brains/repair.ts";
import { createCompatibleModels, firstCompatibleModel } from "./compatible.ts";
import { type ModelAdapter, ModelError, type ModelProvider } from "./model.ts";
import { parseModelName } from "./model-name.ts";
import { createOpenAIModels } from "./openai.ts";
import { createScriptedModels } from "./scripted-model.ts";
import { type SilenceLimits, watchStream } from "./watch-stream.ts";

/** What the environment says about models: ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, OPENAI_API_KEY, OPENAI_BASE_URL. */
export interface ModelsConfig {
  readonly anthropicApiKey?: string | undefined;
  readonly anthropicBaseUrl?: string | undefined;
  readonly openaiApiKey?: string | undefined;
  readonly openaiBaseUrl?: string | undefined;
  /** Five minutes before an answer, one within it, if not given. */
  readonly silence?: SilenceLimits | undefined;
}

const defaultSilence: SilenceLimits = { firstPartMs: 300_000, nextPartMs: 60_000 };

/**
 * The first adapter that serves a name gets the call.
 * @example createModelRegistry([createScriptedModels({})]).serves("scripted") // true
 */
export function createModelRegistry(
  providers: readonly ModelAdapter[],
  silence: SilenceLimits = defaultSilence,
): ModelProvider {
  const find = (model: string) => providers.find((provider) => provider.serves(model));
  return {
    serves: (model) => find(model) !== undefined,
    list: () => providers.flatMap((provider) => provider.list()),
    async *stream(request) {
      const provider = find(request.model);
      if (provider === undefined) throw notConfigured(request.model, providers);
      yield* watchStream((watched) => provider.stream(watched), request, silence);
    },
  };
}

/** Providers that have a key, the scripted model, and the server at OPENAI_BASE_URL if that is not OpenAI's own. */
export function createModels(config: ModelsConfig): ModelProvider {
  const { anthropicApiKey, anthropicBaseUrl, openaiApiKey, openaiBaseUrl, silence } = withoutBlanks(config);
  const providers: ModelAdapter[] = [createScriptedModels({ repair: repairBrain })];
  if (anthropicApiKey !== undefined) {
    providers.push(createAnthropicModels({ apiKey: anthropicApiKey, baseUrl: anthropicBaseUrl }));
  }
  if (openaiApiKey !== undefined) {
    providers.push(createOpenAIModels({ apiKey: openaiApiKey, baseUrl: openaiBaseUrl }));
  }
  if (openaiBaseUrl !== undefined && !isOpenAI(openaiBaseUrl)) {
    providers.push(createCompatibleModels({ baseUrl: openaiBaseUrl, apiKey: openaiApiKey }));
  }
  return createModelRegistry(providers, silence);
}

/**
 * The model to use where nobody named one. Asks the server at OPENAI_BASE_URL for its list where that is all there is,
 * and rejects with a {@link ModelError} when it does not answer.
 * @example await defaultModel({}) // "scripted"
 */
export async function defaultModel(config: ModelsConfig): Promise<string> {
  const { anthropicApiKey, openaiApiKey, openaiBaseUrl } = withoutBlanks(config);
  if (anthropicApiKey !== undefined) return "claude-sonnet-5-5";
  if (openaiBaseUrl !== undefined && !isOpenAI(openaiBaseUrl)) {
    return firstCompatibleModel({ baseUrl: openaiBaseUrl, apiKey: openaiApiKey });
  }
  return openaiApiKey === undefined ? "scripted" : "gpt-6.1-sol";
}

/**
 * What the API lists: first the model to use where nobody named one, then the others.
 * @example listFromDefault(createModels({}), "scripted")[0]?.id // "scripted"
 */
export function listFromDefault(models: ModelProvider, defaultId: string): ReturnType<ModelProvider["list"]> {
  const listed = models.list();
  const first = listed.find(({ id }) => id === defaultId) ?? { id: defaultId, displayName: defaultId };
  return [first, ...listed.filter(({ id }) => id !== defaultId)];
}

const requiredVariables = {
  anthropic: "ANTHROPIC_API_KEY",
  openai: "OPENAI_API_KEY",
  "openai-chat": "OPENAI_API_KEY",
  compatible: "OPENAI_BASE_URL",
} as const;

function notConfigured(model: string, providers: readonly ModelAdapter[]): ModelError {
  const name = JSON.stringify(model.slice(0, 200));
  const family = parseModelName(model)?.family;
  if (family !== undefined && family !== "scripted") {
    return new ModelError(
      "not_configured",
      `The model ${name} needs ${requiredVariables[family]}: set it for the server.`,
    );
  }
  const known = providers.flatMap((provider) => provider.list()).slice(0, 8);
  const examples = known.map(({ id }) => id).join(", ");
  return new ModelError(
    "not_configured",
    `No provider serves the model ${name}. Known here: ${examples}. A server of your own serves others: set OPENAI_BASE_URL.`,
  );
}

/** A variable that is set to nothing is not set. */
function withoutBlanks(config: ModelsConfig): ModelsConfig {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined && value !== ""));
}

function isOpenAI(baseUrl: string): boolean {
  return URL.parse(baseUrl)?.hostname === "api.openai.com";
}

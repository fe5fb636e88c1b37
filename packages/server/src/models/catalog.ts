/** What a model takes and what it costs. Costs are whole millionths of a US dollar: no sum of them loses anything. @module */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { StartupError } from "../errors.ts";
import { knownModels, unknownModel } from "./catalog-data.ts";
import type { ModelEntry, ModelPrice } from "./catalog-entry.ts";
import type { ModelUsage } from "./model.ts";
import { compatibleModelId, parseModelName } from "./model-name.ts";

export interface ModelCatalog {
  /** Never fails: a model that nobody has described has the defaults, without a price. */
  describe(model: string): ModelEntry;
}

const rates = {
  input: z.number().min(0).max(1_000_000),
  output: z.number().min(0).max(1_000_000),
  cacheRead: z.number().min(0).max(1_000_000).optional(),
  cacheWrite: z.number().min(0).max(1_000_000).optional(),
};
const tokens = z.number().int().min(1).max(1_000_000_000);
const price = z.strictObject({ ...rates, longPrompt: z.strictObject({ above: tokens, ...rates }).optional() });
const entry = z.strictObject({
  contextWindow: tokens.optional(),
  maximumOutput: tokens.optional(),
  price: price.nullable().optional(),
});
const overridesFile = z.strictObject({ models: z.record(z.string(), entry) });

/** By name, as in the built-in data; what an entry leaves out is as if it were not there. */
export type CatalogOverrides = z.input<typeof overridesFile>["models"];

/**
 * The built-in data under the overrides.
 * @example createModelCatalog({ "compatible/*": { contextWindow: 32_768 } }).describe("qwen3").contextWindow // 32768
 */
export function createModelCatalog(overrides: CatalogOverrides = {}): ModelCatalog {
  const own = createIndex(overrides);
  return {
    describe(model) {
      const known = builtIn(model) ?? unknownModel;
      const { contextWindow, maximumOutput, price: given } = own(model) ?? {};
      return {
        contextWindow: contextWindow ?? known.contextWindow,
        maximumOutput: maximumOutput ?? known.maximumOutput,
        price: given === undefined ? known.price : given && completePrice(given),
      };
    },
  };
}

const builtIn = createIndex(knownModels);

/**
 * The overrides in the file at an absolute path; none without a path.
 * @throws StartupError that names the file and the first field that is wrong.
 */
export function readCatalogOverrides(path: string | null): CatalogOverrides {
  if (path === null) return {};
  const refuse = (problem: string) => new StartupError(`EXOLOOP_MODEL_CATALOG: ${path} cannot be used: ${problem}`);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw refuse(error instanceof Error ? error.message.slice(0, 200) : "it cannot be read.");
  }
  const parsed = overridesFile.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`${issue?.path.join(" → ") || "the file"}: ${issue?.message ?? "it has another shape."}`);
  }
  const unknown = Object.keys(parsed.data.models).find((name) => canonicalName(name) === null);
  if (unknown !== undefined) throw refuse(`models: ${JSON.stringify(unknown)} is not the name of a model.`);
  return parsed.data.models;
}

/**
 * Millionths of a US dollar, rounded up.
 * @example costOf({ input: 1000, output: 10, cacheRead: 900, cacheWrite: 0, estimated: false }, price)
 */
export function costOf(usage: ModelUsage, modelPrice: ModelPrice): number {
  const { input, output, cacheRead, cacheWrite } = usage;
  const { longPrompt } = modelPrice;
  const rate = longPrompt !== undefined && input > longPrompt.above ? longPrompt : modelPrice;
  const uncached = Math.max(0, input - cacheRead - cacheWrite);
  // A dollar per million tokens is a millionth of a dollar per token.
  const exact =
    uncached * rate.input + cacheRead * rate.cacheRead + cacheWrite * rate.cacheWrite + output * rate.output;
  // Binary fractions: 3 × 0.1 is a little more than 0.3, and must not cost one millionth more for it.
  return Math.ceil(Number(exact.toFixed(6)));
}

/** A cache that costs nothing extra costs what input costs. */
function completePrice({ longPrompt, ...given }: z.input<typeof price>): ModelPrice {
  const complete = <Given extends z.input<typeof price>>(partial: Given) => ({
    ...partial,
    cacheRead: partial.cacheRead ?? partial.input,
    cacheWrite: partial.cacheWrite ?? partial.input,
  });
  return longPrompt === undefined ? complete(given) : { ...complete(given), longPrompt: complete(longPrompt) };
}

/** An exact name wins, then the name without its date, then the longest beginning that ends in `*`. */
function createIndex<Entry>(entries: Readonly<Record<string, Entry>>): (model: string) => Entry | undefined {
  const byName = new Map(
    Object.entries(entries).flatMap(([name, found]) => {
      const canonical = canonicalName(name);
      return canonical === null ? [] : [[canonical, found] as const];
    }),
  );
  const beginnings = [...byName.keys()]
    .filter((name) => name.endsWith("*"))
    .sort((left, right) => right.length - left.length);
  return (model) => {
    const name = canonicalName(model) ?? "";
    const undated = name.replace(/[-@](\d{8}|\d{4}-\d{2}-\d{2})$/, "");
    const beginning = beginnings.find((candidate) => name.startsWith(candidate.slice(0, -1)));
    return byName.get(name) ?? byName.get(undated) ?? byName.get(beginning ?? "");
  };
}

/** One name for all spellings of a model: both of OpenAI's protocols serve the same ones. */
function canonicalName(model: string): string | null {
  const compatible = compatibleModelId(model);
  if (compatible !== null) return `compatible/${compatible}`;
  const parsed = parseModelName(model);
  if (parsed === null) return null;
  return `${parsed.family === "openai-chat" ? "openai" : parsed.family}/${parsed.id}`;
}

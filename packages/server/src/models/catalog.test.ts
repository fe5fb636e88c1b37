import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { StartupError } from "../errors.ts";
import { costOf, createModelCatalog, readCatalogOverrides } from "./catalog.ts";
import type { ModelPrice } from "./catalog-entry.ts";
import { knownModels } from "./catalog-data.ts";
import type { ModelUsage } from "./model.ts";
import { createModels } from "./registry.ts";

const catalog = createModelCatalog();

test.each([
  ["claude-sonnet-5-5", 1_000_000, 2],
  ["anthropic/claude-sonnet-5-5", 1_000_000, 2],
  ["claude-opus-5", 1_000_000, 5],
  ["claude-opus-5-5", 1_000_000, 4],
  ["claude-sonnet-4-5-20250929", 200_000, 3],
  ["claude-haiku-4-5@20251001", 200_000, 1],
  ["claude-novelty-9", 200_000, undefined],
  ["gpt-6.1-sol", 1_050_000, 2],
  ["gpt-6.1-sol-2026-08-12", 1_050_000, 2],
  ["openai-chat/gpt-5.4-mini", 400_000, 0.75],
  ["gpt-9", 272_000, undefined],
  ["scripted", 200_000, 1],
  ["scripted/repair", 200_000, 1],
  // A server of one's own has its own prices, whatever it calls its models.
  ["compatible/gpt-5.5", 128_000, undefined],
  ["qwen3:8b", 128_000, undefined],
  ["", 128_000, undefined],
])("%j takes %i tokens and costs %s", (model, contextWindow, input) => {
  expect(catalog.describe(model)).toMatchObject({ contextWindow });
  expect(catalog.describe(model).price?.input).toBe(input);
});

test("every model that is offered is known, with its price", () => {
  const offered = createModels({ anthropicApiKey: "k", openaiApiKey: "k" }).list();
  expect(offered.length).toBeGreaterThan(8);
  for (const { id } of offered) expect(catalog.describe(id).price, id).not.toBeNull();
});

test("no answer is longer than its model's window, and no price is negative", () => {
  for (const [name, { contextWindow, maximumOutput, price }] of Object.entries(knownModels)) {
    expect(maximumOutput, name).toBeLessThan(contextWindow);
    if (price !== null)
      expect(Math.min(price.input, price.output, price.cacheRead, price.cacheWrite)).toBeGreaterThan(0);
  }
});

describe("costs", () => {
  const usage = (changes: Partial<ModelUsage>): ModelUsage => ({
    input: 0,
    output: 0,
    cacheRead: 0,
    cacheWrite: 0,
    estimated: false,
    ...changes,
  });
  const price: ModelPrice = { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 };

  test.each([
    [usage({ input: 1_000_000 }), 3_000_000],
    [usage({ output: 1_000_000 }), 15_000_000],
    // 100 uncached, 850 read, 50 written: 300 + 255 + 187.5 + 150.
    [usage({ input: 1000, cacheRead: 850, cacheWrite: 50, output: 10 }), 893],
    [usage({ input: 1, cacheRead: 1 }), 1],
    [usage({}), 0],
    // A provider that counts its cache apart from the input.
    [usage({ input: 10, cacheRead: 100 }), 30],
  ])("%j is %i millionths", (given, expected) => {
    expect(costOf(given, price)).toBe(expected);
  });

  test("a binary fraction costs no millionth", () => {
    const cheap = { input: 0.1, output: 0.5, cacheRead: 0.01, cacheWrite: 0.125 };
    // 23 × 0.1 + 20 × 0.01 + 1 × 0.5 is 3.0000000000000004 in binary.
    expect(costOf(usage({ input: 43, cacheRead: 20, output: 1 }), cheap)).toBe(3);
  });

  test("a long prompt makes all of the request dearer", () => {
    const haiku = catalog.describe("claude-haiku-5-5").price;
    if (haiku === null) throw new Error("It has a price.");
    expect(costOf(usage({ input: 100_000, output: 1000 }), haiku)).toBe(10_500);
    expect(costOf(usage({ input: 100_001, output: 1000, cacheRead: 100_001 }), haiku)).toBe(7501);
  });
});

test("overrides win field by field, the exact name before the beginning", () => {
  const own = createModelCatalog({
    "compatible/*": { contextWindow: 32_768, price: { input: 0, output: 0 } },
    "qwen*": { contextWindow: 40_960 },
    "qwen3:8b": { contextWindow: 8192 },
    "claude-sonnet-5-5": { price: { input: 1, output: 2, longPrompt: { above: 10, input: 3, output: 4 } } },
    "gpt-5.5": { price: null },
    scripted: { contextWindow: 4000 },
  });
  expect(own.describe("llama")).toMatchObject({ contextWindow: 32_768, price: { input: 0, cacheRead: 0 } });
  expect(own.describe("qwen3").contextWindow).toBe(40_960);
  expect(own.describe("compatible/qwen3:8b")).toEqual({ contextWindow: 8192, maximumOutput: 16_000, price: null });
  expect(own.describe("claude-sonnet-5-5")).toEqual({
    contextWindow: 1_000_000,
    maximumOutput: 128_000,
    price: {
      input: 1,
      output: 2,
      cacheRead: 1,
      cacheWrite: 1,
      longPrompt: { above: 10, input: 3, output: 4, cacheRead: 3, cacheWrite: 3 },
    },
  });
  expect(own.describe("openai/gpt-5.5")).toMatchObject({ contextWindow: 1_050_000, price: null });
  expect(own.describe("scripted/inline")).toMatchObject({ contextWindow: 4000, price: { input: 1, output: 5 } });
  expect(own.describe("scripted/repair").contextWindow).toBe(200_000);
});

describe("the file of overrides", () => {
  let directory = "";
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const write = async (text: string) => {
    directory = await mkdtemp(join(tmpdir(), "exoloop-catalog-"));
    const path = join(directory, "catalog.json");
    await writeFile(path, text);
    return path;
  };

  test("is read", async () => {
    const models = { "qwen3:8b": { contextWindow: 40_960 } };
    expect(readCatalogOverrides(await write(JSON.stringify({ models })))).toEqual(models);
    expect(readCatalogOverrides(null)).toEqual({});
  });

  test.each([
    ["{", "JSON"],
    ["[]", "the file: "],
    ["{}", "models: "],
    ['{"models":{},"prices":{}}', '"prices"'],
    ['{"models":{"gpt-5.5":{"contextWindow":"1M"}}}', "models → gpt-5.5 → contextWindow: "],
    ['{"models":{"gpt-5.5":{"price":{"input":-1,"output":2}}}}', "models → gpt-5.5 → price → input: "],
    ['{"models":{"gpt-5.5":{"price":{"input":1}}}}', "models → gpt-5.5 → price → output: "],
    ['{"models":{"gpt-5.5":{"window":1}}}', '"window"'],
    ['{"models":{"openai/":{}}}', '"openai/" is not the name'],
  ])("%s is refused, with its place", async (text, problem) => {
    const path = await write(text);
    expect(() => readCatalogOverrides(path)).toThrow(StartupError);
    expect(() => readCatalogOverrides(path)).toThrow(problem);
    expect(() => readCatalogOverrides(path)).toThrow(path);
  });

  test("that is not there is one error", () => {
    expect(() => readCatalogOverrides("/nowhere/catalog.json")).toThrow("ENOENT");
  });
});

/**
 * What is known of models: windows, longest answers, list prices in US dollars per million tokens (October 2026). Only
 * data; a file of the operator's overrides any of it.
 * @module
 */
import type { ModelEntry, ModelPrice } from "./catalog-entry.ts";

const million = 1_000_000;

/** Input and output decide the rest: a read from the cache costs a share of the input, a write a quarter more than it. */
function price(input: number, output: number, cacheReadShare = 0.1): ModelPrice {
  const cents = (dollars: number) => Number(dollars.toFixed(6));
  return { input, output, cacheRead: cents(input * cacheReadShare), cacheWrite: cents(input * 1.25) };
}

/** OpenAI: above 272,000 tokens of input all of it costs double, and output half as much again. */
function tieredPrice(input: number, output: number, cacheReadShare = 0.1): ModelPrice {
  const longPrompt = { above: 272_000, ...price(input * 2, output * 1.5, cacheReadShare) };
  return { ...price(input, output, cacheReadShare), longPrompt };
}

function claude(modelPrice: ModelPrice | null, contextWindow = million, maximumOutput = 128_000): ModelEntry {
  return { contextWindow, maximumOutput, price: modelPrice };
}

function openai(modelPrice: ModelPrice | null, contextWindow = 1_050_000): ModelEntry {
  return { contextWindow, maximumOutput: 128_000, price: modelPrice };
}

/**
 * By name as agents write it. A name also stands for its dated versions (`claude-opus-4-20250514`); one that ends in `*`
 * for all that begin so and have no entry of their own.
 */
export const knownModels: Readonly<Record<string, ModelEntry>> = {
  "claude-fable-5-1": claude(price(10, 50, 0.025)),
  "claude-fable-5": claude(price(10, 50)),
  "claude-opus-5-5": claude(price(4, 20, 0.05)),
  "claude-opus-5": claude(price(5, 25)),
  "claude-opus-4-8": claude(price(5, 25)),
  "claude-opus-4-7": claude(price(5, 25)),
  "claude-opus-4-6": claude(price(5, 25)),
  "claude-opus-4-5": claude(price(5, 25), 200_000, 64_000),
  "claude-opus-4-1": claude(price(15, 75), 200_000, 32_000),
  "claude-opus-4": claude(price(15, 75), 200_000, 32_000),
  "claude-sonnet-5-5": claude(price(2, 10, 0.05)),
  "claude-sonnet-5": claude(price(2, 10)),
  "claude-sonnet-4-6": claude(price(3, 15)),
  "claude-sonnet-4-5": claude(price(3, 15), 200_000, 64_000),
  "claude-sonnet-4": claude(price(3, 15), 200_000, 64_000),
  "claude-haiku-5-5": claude({ ...price(0.1, 0.5), longPrompt: { above: 100_000, ...price(0.5, 2.5) } }),
  "claude-haiku-4-5": claude(price(1, 5), 200_000, 64_000),
  "claude-*": claude(null, 200_000, 32_000),
  "gpt-6-astra": openai(tieredPrice(10, 50)),
  "gpt-6.1-sol": openai(tieredPrice(2, 10, 0.05)),
  "gpt-6.1-terra": openai(tieredPrice(1, 5, 0.05)),
  "gpt-6-sol": openai(tieredPrice(2, 10)),
  "gpt-6-luna": openai(tieredPrice(0.1, 0.5)),
  "gpt-5.6": openai(tieredPrice(4, 20)),
  "gpt-5.6-sol": openai(tieredPrice(4, 20)),
  "gpt-5.6-terra": openai(tieredPrice(2, 12)),
  "gpt-5.6-luna": openai(tieredPrice(0.2, 1.2)),
  "gpt-5.5": openai(tieredPrice(5, 30)),
  "gpt-5.4": openai(tieredPrice(2.5, 15)),
  "gpt-5.4-mini": openai(price(0.75, 4.5), 400_000),
  "gpt-*": openai(null, 272_000),
  // What it costs is nothing; a price lets budgets be tried without a key.
  "scripted/*": { contextWindow: 200_000, maximumOutput: 64_000, price: price(1, 5) },
};

/** A model that nobody has described: about the least that models for agents take. */
export const unknownModel: ModelEntry = { contextWindow: 128_000, maximumOutput: 16_000, price: null };

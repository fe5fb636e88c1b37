/** Which provider a model's name means. Pure. @module */

export type ModelFamily = "anthropic" | "openai" | "openai-chat" | "compatible" | "scripted";

export interface ModelName {
  readonly family: ModelFamily;
  /** As the provider knows it: without our prefix. */
  readonly id: string;
}

const prefixes: readonly ModelFamily[] = ["anthropic", "openai", "openai-chat", "compatible", "scripted"];
const longestName = 200;

/**
 * A prefix decides; without one the shape of the name does. Null for names without a known shape, which only a server
 * of one's own can serve. Names with a slash whose first part is no prefix (`meta/llama-4`) have no known shape.
 * @example parseModelName("openai-chat/gpt-5.5") // { family: "openai-chat", id: "gpt-5.5" }
 */
export function parseModelName(name: string): ModelName | null {
  if (name === "" || name.length > longestName) return null;
  if (name === "scripted") return { family: "scripted", id: "inline" };
  const slash = name.indexOf("/");
  const prefix = prefixes.find((family) => family === name.slice(0, Math.max(0, slash)));
  if (prefix !== undefined) {
    const id = name.slice(slash + 1);
    return id === "" ? null : { family: prefix, id };
  }
  if (slash !== -1) return null;
  if (name.startsWith("claude-")) return { family: "anthropic", id: name };
  // Open weights: no hosted service of OpenAI has them.
  if (name.startsWith("gpt-oss")) return null;
  if (/^(gpt-|chatgpt-|o\d)/.test(name)) return { family: "openai", id: name };
  return null;
}

/**
 * The name as a server behind OPENAI_BASE_URL knows it, or null where the name means another provider.
 * @example compatibleModelId("qwen3:8b") // "qwen3:8b"
 */
export function compatibleModelId(name: string): string | null {
  if (name === "" || name.length > longestName) return null;
  const parsed = parseModelName(name);
  if (parsed === null) return prefixes.some((prefix) => name === `${prefix}/`) ? null : name;
  return parsed.family === "compatible" ? parsed.id : null;
}

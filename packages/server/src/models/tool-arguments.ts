/** Arguments of a tool call as a model wrote them. Pure. @module */
import type { JSONObject, JSONValue } from "@ai-sdk/provider";

const longestMalformed = 4000;

export type ToolArguments =
  | { readonly input: Readonly<Record<string, unknown>> }
  /** `malformed`: the text, cut to 4,000 characters. */
  | { readonly input: null; readonly malformed: string };

/**
 * Never throws: what is no JSON object is the model's mistake, and it is told so.
 * @example parseToolArguments('{"path":"a"}') // { input: { path: "a" } }
 */
export function parseToolArguments(text: string): ToolArguments {
  if (text.trim() === "") return { input: {} };
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return { input: value };
  } catch {
    // Falls through to malformed.
  }
  return { input: null, malformed: text.slice(0, longestMalformed) };
}

export function isJsonObject(value: unknown): value is JSONObject {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every(isJsonValue)
  );
}

function isJsonValue(value: unknown): value is JSONValue {
  if (value === null || value === undefined) return true;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return true;
  return Array.isArray(value) ? value.every(isJsonValue) : isJsonObject(value);
}

/** The digest that an approval and an audit row are bound to. @module */
import { createHash } from "node:crypto";

/**
 * SHA-256, in hexadecimal, of the call in canonical JSON: object keys sorted, so that the order in which a model wrote
 * its arguments does not matter.
 * @example callDigest({ toolName: "bash", input: { command: "ls" }, sessionId: "sesn_1" })
 */
export function callDigest(call: {
  readonly toolName: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly sessionId: string;
  /** What the tool found when the call was decided, where the approval is for that alone. */
  readonly bound?: Readonly<Record<string, unknown>>;
}): string {
  return createHash("sha256").update(canonicalJson(call)).digest("hex");
}

function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

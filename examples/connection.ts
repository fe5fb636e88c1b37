/** Where the examples find the server. @module */
import Anthropic from "@anthropic-ai/sdk";

export function connect(): Anthropic {
  const apiKey = process.env["EXOLOOP_API_KEY"];
  if (apiKey === undefined) {
    console.error("Set EXOLOOP_API_KEY: `npm start` printed it the first time, and keeps it in credentials.json.");
    process.exit(2);
  }
  return new Anthropic({ baseURL: process.env["EXOLOOP_URL"] ?? "http://127.0.0.1:4600", apiKey });
}

export const model = process.env["EXOLOOP_MODEL"] ?? "scripted";

/** What the scripted model is to do; a real model reads it as part of its task. */
export function script(steps: readonly object[]): string {
  return ["```script", JSON.stringify(steps), "```"].join("\n");
}

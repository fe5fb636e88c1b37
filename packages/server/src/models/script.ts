/** What the scripted model plays: steps written by a person, or decided by a program. @module */
import { z } from "zod";
import type { ToolDefinition, TranscriptMessage } from "./model.ts";

const milliseconds = (longest: number) => z.number().int().min(0).max(longest);
const tokens = z.number().int().min(0).max(1e9);

const fault = z.strictObject({
  /**
   * Failures of the call: rate_limited, overloaded, disconnect (half of the step arrives, then the connection ends),
   * empty (an answer without content). Kinds of answer: malformed_arguments, length, refusal.
   */
  kind: z.enum(["rate_limited", "overloaded", "disconnect", "malformed_arguments", "length", "refusal", "empty"]),
  retryAfterMs: milliseconds(600_000).optional(),
  /** How many attempts fail before the step is played. Kinds of answer are played every time. */
  times: z.number().int().min(1).max(100).default(1),
});

const step = z.strictObject({
  thinking: z.string().max(100_000).optional(),
  text: z.string().max(1_000_000).optional(),
  toolCalls: z
    .array(z.strictObject({ name: z.string().min(1).max(128), input: z.record(z.string(), z.json()) }))
    .max(64)
    .optional(),
  usage: z
    .strictObject({ input: tokens, output: tokens, cacheRead: tokens.default(0), cacheWrite: tokens.default(0) })
    .optional(),
  /** Before the first part. */
  delayMs: milliseconds(600_000).optional(),
  /** Between pieces of text. */
  chunkDelayMs: milliseconds(10_000).optional(),
  fault: fault.optional(),
});

const script = z.array(step).min(1).max(1000);

/** One answer of the scripted model. @example { text: "I look.", toolCalls: [{ name: "bash", input: { command: "ls" } }] } */
export type Step = z.input<typeof step>;
export type Fault = z.input<typeof fault>;

/** What a brain decides from. */
export interface Conversation {
  readonly messages: readonly TranscriptMessage[];
  readonly tools: readonly ToolDefinition[];
}

/** A program in the model's place: given everything so far, the next step. It must be pure: attempts are repeated. */
export type Brain = (conversation: Conversation) => Step;

export type FoundScript =
  | { readonly type: "none" }
  | { readonly type: "invalid"; readonly problem: string }
  /** `position`: the step that is due. */
  | { readonly type: "script"; readonly steps: readonly Step[]; readonly position: number };

const fence = /^```script[ \t]*\r?\n([\s\S]*?)^```[ \t]*$/gm;

/** The last ```script block of the user's messages. The step due is the number of answers since that message. */
export function findScript({ messages }: Conversation): FoundScript {
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index];
    if (message?.role !== "user") continue;
    const text = message.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
    const source = [...text.matchAll(fence)].at(-1)?.[1];
    if (source === undefined) continue;
    const position = messages.slice(index).filter((later) => later.role === "assistant").length;
    return readScript(source, position);
  }
  return { type: "none" };
}

function readScript(source: string, position: number): FoundScript {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    return { type: "invalid", problem: error instanceof Error ? error.message.slice(0, 200) : "It is not JSON." };
  }
  const parsed = script.safeParse(value);
  if (parsed.success) return { type: "script", steps: parsed.data, position };
  const issue = parsed.error.issues[0];
  const place = issue?.path.length ? `at ${issue.path.join(".")}: ` : "";
  return { type: "invalid", problem: `${place}${issue?.message ?? "It is not an array of steps."}` };
}

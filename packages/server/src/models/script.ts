/** What the scripted model plays: steps written by a person, or decided by a program. @module */
import { z } from "zod";
import type { ToolDefinition, TranscriptMessage } from "./model.ts";
import { findSource } from "./script-memory.ts";

const milliseconds = (longest: number) => z.number().int().min(0).max(longest);
const tokens = z.number().int().min(0).max(1e9);

const fault = z.strictObject({
  /**
   * Failures of the call: rate_limited, overloaded, server_error, timeout (nothing arrives until the call is given up),
   * disconnect (half of the step arrives, then the connection ends), empty (an answer without content). Kinds of answer:
   * malformed_arguments, length, refusal. context_overflow fails until the conversation has been compacted.
   */
  kind: z.enum([
    "rate_limited",
    "overloaded",
    "server_error",
    "timeout",
    "disconnect",
    "context_overflow",
    "malformed_arguments",
    "length",
    "refusal",
    "empty",
  ]),
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

const steps = z.array(step).min(1).max(1000);

const grade = z.strictObject({
  result: z.enum(["satisfied", "needs_revision", "failed"]),
  explanation: z.string().max(10_000).default(""),
});

/** The longer form of a script. What it does not say of a compaction or a grading has a default. */
const script = z.strictObject({
  steps,
  /** The n-th evaluation of an outcome is answered with the n-th; later ones and missing ones are satisfied. */
  grades: z.array(grade).max(100).default([]),
  /** How each compaction is answered; its text is the model's own. */
  compaction: step.pick({ usage: true, delayMs: true, chunkDelayMs: true, fault: true }).default({}),
});

/** One answer of the scripted model. @example { text: "I look.", toolCalls: [{ name: "bash", input: { command: "ls" } }] } */
export type Step = z.input<typeof step>;
export type Fault = z.input<typeof fault>;
export type Grade = z.output<typeof grade>;

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
  | {
      readonly type: "script";
      readonly steps: readonly Step[];
      readonly grades: readonly Grade[];
      readonly compaction: Omit<Step, "text" | "thinking" | "toolCalls">;
      /** The step that is due. */
      readonly position: number;
    };

/**
 * The last ```script block of the user's messages. The step due is the number of answers since that message; where the
 * message is what a compaction has left, those that its summary counts come on top.
 */
export function findScript({ messages }: Pick<Conversation, "messages">): FoundScript {
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index];
    if (message?.role !== "user") continue;
    const found = findSource(textOf(message));
    if (found === null) continue;
    const answers = messages.slice(index).filter((later) => later.role === "assistant").length;
    return readScript(found.source, found.played + answers);
  }
  return { type: "none" };
}

export function textOf(message: TranscriptMessage | undefined): string {
  if (message?.role !== "user") return "";
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
}

function readScript(source: string, position: number): FoundScript {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (error) {
    return { type: "invalid", problem: error instanceof Error ? error.message.slice(0, 200) : "It is not JSON." };
  }
  const parsed = isLongForm(value) ? script.safeParse(value) : steps.safeParse(value);
  if (parsed.success) {
    const { data } = parsed;
    const read = Array.isArray(data) ? { steps: data, grades: [], compaction: {} } : data;
    return { type: "script", ...read, position };
  }
  const issue = parsed.error.issues[0];
  const place = issue?.path.length ? `at ${issue.path.join(".")}: ` : "";
  return { type: "invalid", problem: `${place}${issue?.message ?? "It is not an array of steps."}` };
}

function isLongForm(value: unknown): boolean {
  return typeof value === "object" && value !== null && "steps" in value;
}

/** What a brain knows: the calls it made in its present task, each with what came of it. Pure. @module */
import type { Conversation } from "../script.ts";

export interface ToolOutcome {
  readonly toolName: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly isError: boolean;
}

/** Calls with results since the last answer without calls: an answer ends a task, a message in between steers it. */
export function readToolHistory({ messages }: Conversation): readonly ToolOutcome[] {
  const done = messages.findLastIndex(
    (message) => message.role === "assistant" && !message.content.some((part) => part.type === "tool_call"),
  );
  const task = messages.slice(done + 1);
  const calls = task.flatMap((message) => (message.role === "assistant" ? message.content : []));
  const results = new Map(
    task
      .flatMap((message) => (message.role === "tool" ? message.results : []))
      .map((result) => [result.callId, result]),
  );
  return calls.flatMap((call): ToolOutcome[] => {
    const result = call.type === "tool_call" ? results.get(call.callId) : undefined;
    if (call.type !== "tool_call" || result === undefined) return [];
    const text = result.content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
    return [{ toolName: call.toolName, input: call.input ?? {}, text, isError: result.isError }];
  });
}

/** A string argument by any of its names; tools of different origins call the same thing `path` and `file_path`. */
export function argument(outcome: ToolOutcome, ...names: readonly string[]): string {
  const value = names.map((name) => outcome.input[name]).find((candidate) => typeof candidate === "string");
  return typeof value === "string" ? value : "";
}

/**
 * Arguments under the names that the offered tool declares; the first alternative where it declares none.
 * @example nameArguments(conversation, "read", [[["file_path", "path"], "/a"]]) // { file_path: "/a" }
 */
export function nameArguments(
  { tools }: Conversation,
  toolName: string,
  values: readonly (readonly [alternatives: readonly [string, ...string[]], value: string])[],
): Record<string, string> {
  const properties = tools.find((tool) => tool.name === toolName)?.inputSchema.properties;
  const declared = typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
  const entries = values.map(([alternatives, value]) => {
    const name = alternatives.find((alternative) => declared.includes(alternative)) ?? alternatives[0];
    return [name, value] as const;
  });
  return Object.fromEntries(entries);
}

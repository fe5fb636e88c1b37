/** Plays a brain against tools, as the loop would. @module */
import type { ToolDefinition, TranscriptMessage } from "../model.ts";
import type { Brain } from "../script.ts";

export interface BrainCall {
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export type ToolAnswer = string | { readonly error: string };

export interface BrainRun {
  readonly calls: readonly BrainCall[];
  /** The text of the answer without calls, which ends the task. */
  readonly conclusion: string;
}

function tool(name: string, ...properties: readonly string[]): ToolDefinition {
  const schemas = Object.fromEntries(properties.map((property) => [property, { type: "string" }]));
  return { name, description: name, inputSchema: { type: "object", properties: schemas } };
}

export const codingTools: readonly ToolDefinition[] = [
  tool("bash", "command"),
  tool("read", "file_path"),
  tool("write", "file_path", "content"),
  tool("edit", "file_path", "old_string", "new_string"),
  tool("grep", "pattern", "path"),
];

/** At most 60 answers. `tools` answers each call; it may have state. */
export async function runBrain(
  brain: Brain,
  tools: (call: BrainCall) => ToolAnswer | Promise<ToolAnswer>,
): Promise<BrainRun> {
  const messages: TranscriptMessage[] = [
    { role: "user", content: [{ type: "text", text: "Repair the failing test." }] },
  ];
  const calls: BrainCall[] = [];
  for (let round = 0; round < 60; round++) {
    const step = brain({ messages, tools: codingTools });
    const planned = (step.toolCalls ?? []).map((call, index) => ({ ...call, callId: `call_${round}_${index}` }));
    if (planned.length === 0) return { calls, conclusion: step.text ?? "" };
    messages.push({
      role: "assistant",
      content: planned.map(({ callId, name, input }) => ({ type: "tool_call", callId, toolName: name, input })),
    });
    const results = [];
    for (const { callId, name, input } of planned) {
      calls.push({ name, input });
      const answer = await tools({ name, input });
      const text = typeof answer === "string" ? answer : answer.error;
      results.push({
        callId,
        toolName: name,
        content: [{ type: "text", text }] as const,
        isError: typeof answer !== "string",
      });
    }
    messages.push({ role: "tool", results });
  }
  throw new Error("The brain has not ended after 60 answers.");
}

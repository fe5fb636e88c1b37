/** Calls of models in tests: a request with defaults, and everything that came of it. @module */
import type { ModelAdapter, ModelRequest, ModelStreamPart, ToolDefinition, TranscriptMessage } from "../model.ts";

export const bashTool: ToolDefinition = {
  name: "bash",
  description: "Runs a command.",
  inputSchema: { type: "object", properties: { command: { type: "string" } }, required: ["command"] },
};

export function userMessage(text: string): TranscriptMessage {
  return { role: "user", content: [{ type: "text", text }] };
}

/** A request that says hello, offers `bash`, and is never aborted. */
export function modelRequest(changes: Partial<ModelRequest> & Pick<ModelRequest, "model">): ModelRequest {
  return {
    system: "You are a test.",
    messages: [userMessage("Hello.")],
    tools: [bashTool],
    abortSignal: new AbortController().signal,
    ...changes,
  };
}

export interface CollectedAnswer extends Omit<Extract<ModelStreamPart, { type: "finish" }>, "type"> {
  readonly parts: readonly ModelStreamPart[];
  /** All deltas. */
  readonly text: string;
}

export async function collectAnswer(models: ModelAdapter, request: ModelRequest): Promise<CollectedAnswer> {
  const arrived = await Array.fromAsync(models.stream(request));
  const parts = arrived.filter((part) => part.type !== "sign_of_life");
  const finish = parts.at(-1);
  if (finish?.type !== "finish") throw new Error("The stream had no finish.");
  const text = parts.map((part) => (part.type === "text_delta" ? part.text : "")).join("");
  const { content, usage, finishReason } = finish;
  return { parts, text, content, usage, finishReason };
}

/** The answer and a result for each of its calls, as the loop adds them to a transcript. */
export function continueWith({ content }: CollectedAnswer, result: string): readonly TranscriptMessage[] {
  const calls = content.flatMap((part) => (part.type === "tool_call" ? [part] : []));
  return [
    { role: "assistant", content },
    {
      role: "tool",
      results: calls.map(({ callId, toolName }) => ({
        callId,
        toolName,
        content: [{ type: "text", text: result }],
        isError: false,
      })),
    },
  ];
}

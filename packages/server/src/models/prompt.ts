/** Our transcript as the AI SDK's prompt. Pure. @module */
import type {
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolResultOutput,
  SharedV4ProviderOptions,
} from "@ai-sdk/provider";
import type {
  AssistantPart,
  ModelRequest,
  ProviderData,
  ToolDefinition,
  TranscriptContent,
  TranscriptMessage,
} from "./model.ts";
import { isJsonObject } from "./tool-arguments.ts";

export interface PromptOptions {
  /** Whether the protocol carries images and documents in tool results; else text stands for each. */
  readonly filesInResults: boolean;
  /** The protocol's rule for identifiers of calls; applied to a call and its result alike. */
  readonly callId: (id: string) => string;
  /** Options on the system message and on the last two messages that are not the model's. */
  readonly cacheBreakpoint?: SharedV4ProviderOptions;
}

type AssistantContent = Extract<LanguageModelV4Message, { role: "assistant" }>["content"];
type UserContent = Extract<LanguageModelV4Message, { role: "user" }>["content"];

export const defaultPromptOptions: PromptOptions = { filesInResults: false, callId: (id) => id };

/** Empty texts are left out and messages left empty by that with them: providers refuse both. */
export function toPrompt(request: ModelRequest, options: PromptOptions): LanguageModelV4Prompt {
  const { cacheBreakpoint } = options;
  const marked = cacheBreakpoint === undefined ? {} : { providerOptions: cacheBreakpoint };
  const lastGiven = request.messages
    .flatMap((message, index) => (message.role === "assistant" ? [] : [index]))
    .slice(-2);
  const messages = request.messages.flatMap((message, index): LanguageModelV4Message[] => {
    const converted = toMessage(message, options);
    if (converted.content.length === 0) return [];
    return [lastGiven.includes(index) ? { ...converted, ...marked } : converted];
  });
  const system: LanguageModelV4Message = { role: "system", content: request.system, ...marked };
  return request.system === "" ? messages : [system, ...messages];
}

export function toFunctionTools(tools: readonly ToolDefinition[]): LanguageModelV4FunctionTool[] {
  return tools.map(({ name, description, inputSchema }) => ({ type: "function", name, description, inputSchema }));
}

function toMessage(
  message: TranscriptMessage,
  options: PromptOptions,
): Exclude<LanguageModelV4Message, { role: "system" }> {
  switch (message.role) {
    case "user":
      return { role: "user", content: message.content.flatMap(toUserPart) };
    case "assistant":
      return { role: "assistant", content: message.content.flatMap((part) => toAssistantPart(part, options)) };
    case "tool":
      return {
        role: "tool",
        content: message.results.map((result) => ({
          type: "tool-result",
          toolCallId: options.callId(result.callId),
          toolName: result.toolName,
          output: toOutput(result.content, result.isError, options),
        })),
      };
  }
}

function toUserPart(part: TranscriptContent): UserContent {
  if (part.type !== "text") return [toFile(part)];
  return part.text.trim() === "" ? [] : [{ type: "text", text: part.text }];
}

function toAssistantPart(part: AssistantPart, options: PromptOptions): AssistantContent {
  const providerOptions = toProviderOptions(part.providerData);
  switch (part.type) {
    case "text":
      return part.text.trim() === "" ? [] : [{ type: "text", text: part.text, ...providerOptions }];
    case "thinking":
      return [{ type: "reasoning", text: part.text, ...providerOptions }];
    case "tool_call": {
      const { callId, toolName, input } = part;
      // What was no JSON object cannot be sent back as one; the result that follows tells the model about it.
      return [
        { type: "tool-call", toolCallId: options.callId(callId), toolName, input: input ?? {}, ...providerOptions },
      ];
    }
  }
}

function toOutput(
  content: readonly TranscriptContent[],
  isError: boolean,
  options: PromptOptions,
): LanguageModelV4ToolResultOutput {
  const inline = options.filesInResults && !isError && content.some((part) => part.type !== "text");
  if (inline) {
    return { type: "content", value: content.map((part) => (part.type === "text" ? part : toFile(part))) };
  }
  const value = content.map((part) =>
    part.type === "image" ? "[an image that this model cannot be shown]" : part.text,
  );
  return { type: isError ? "error-text" : "text", value: value.join("\n") };
}

function toFile(part: Exclude<TranscriptContent, { type: "text" }>) {
  return { type: "file", mediaType: part.mediaType, data: { type: "data", data: part.base64 } } as const;
}

function toProviderOptions(data: ProviderData | undefined): { readonly providerOptions?: SharedV4ProviderOptions } {
  if (data === undefined) return {};
  const providerOptions: SharedV4ProviderOptions = {};
  for (const [provider, values] of Object.entries(data)) if (isJsonObject(values)) providerOptions[provider] = values;
  return { providerOptions };
}

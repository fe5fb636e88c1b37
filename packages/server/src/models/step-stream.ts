/**
 * One step of an AI SDK language model as our parts. This calls the specification's `doStream` and not `streamText`:
 * `streamText` retries, validates and repairs tool calls, and turns failures into parts of its own, all of which are
 * the loop's business here; below it are the provider's parts, untouched, and the provider's errors with their headers.
 * @module
 */
import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { addPart, answerContent, createAnswer } from "./answer.ts";
import { type ModelSource, toModelError } from "./model-failure.ts";
import { ModelError, type ModelRequest, type ModelStreamPart, type SignOfLife } from "./model.ts";
import { readUsage } from "./usage.ts";

/**
 * Rejects with a {@link ModelError} only. A stream that ends without the provider's own end is `unavailable`. Whoever
 * leaves the stream early aborts it: that closes the connection.
 */
export async function* streamStep(
  model: LanguageModelV4,
  call: LanguageModelV4CallOptions,
  request: ModelRequest,
  source: ModelSource,
): AsyncGenerator<ModelStreamPart | SignOfLife> {
  const answer = createAnswer();
  try {
    const { stream } = await model.doStream({ ...call, abortSignal: request.abortSignal });
    const reader = stream.getReader();
    while (true) {
      const { done, value } = await reader.read();
      if (done) throw new ModelError("unavailable", `${source.label} ended its answer before it was complete.`);
      if (value.type === "finish") {
        yield finishStep(value, answerContent(answer), request, source);
        return;
      }
      if (value.type === "error") throw toModelError(value.error, source);
      const told = addPart(answer, value);
      if (told.length === 0) yield signOfLife(value);
      yield* told;
    }
  } catch (error) {
    if (request.abortSignal.aborted) throw new ModelError("aborted", "The model call was aborted.");
    throw toModelError(error, source);
  }
}

function signOfLife(part: LanguageModelV4StreamPart): SignOfLife {
  const counts = part.type === "reasoning-delta" || part.type === "tool-input-delta";
  return { type: "sign_of_life", characters: counts ? part.delta.length : 0 };
}

function finishStep(
  { finishReason, usage }: Extract<LanguageModelV4StreamPart, { type: "finish" }>,
  content: Extract<ModelStreamPart, { type: "finish" }>["content"],
  request: ModelRequest,
  source: ModelSource,
): ModelStreamPart {
  const figures = readUsage(usage, request, content);
  const finish = (reason: Extract<ModelStreamPart, { type: "finish" }>["finishReason"]) =>
    ({ type: "finish", content, usage: figures, finishReason: reason }) as const;
  switch (finishReason.unified) {
    case "interrupted":
    case "error":
      throw new ModelError("unavailable", `${source.label} ended its answer before it was complete.`);
    case "length":
      return finish("length");
    case "content-filter":
      return finish("refusal");
    case "tool-calls":
      return finish("tool_calls");
    // Some servers say `stop` after calls.
    case "stop":
      return finish(content.some((part) => part.type === "tool_call") ? "tool_calls" : "stop");
    default:
      return finish("other");
  }
}

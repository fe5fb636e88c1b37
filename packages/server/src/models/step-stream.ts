/**
 * One step of an AI SDK language model as our parts. This calls the specification's `doStream` and not `streamText`:
 * `streamText` retries, validates and repairs tool calls, and turns failures into parts of its own, all of which are
 * the loop's business here; below it are the provider's parts, untouched, and the provider's errors with their headers.
 * @module
 */
import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { addPart, answerContent, createAnswer } from "./answer.ts";
import { type ModelSource, toModelError } from "./model-failure.ts";
import { ModelError, type ModelRequest, type ModelStreamPart } from "./model.ts";
import { readUsage } from "./usage.ts";

export const defaultIdleTimeoutMs = 120_000;

export interface StepStreamOptions {
  readonly source: ModelSource;
  /** Longest silence before and within the stream, in milliseconds. */
  readonly idleTimeoutMs: number;
}

/** Rejects with a {@link ModelError} only. A stream that ends without the provider's own end is `unavailable`. */
export async function* streamStep(
  model: LanguageModelV4,
  call: LanguageModelV4CallOptions,
  request: ModelRequest,
  options: StepStreamOptions,
): AsyncGenerator<ModelStreamPart> {
  const guard = guardStream(request.abortSignal, options);
  const answer = createAnswer();
  try {
    const { stream } = await guard.wait(model.doStream({ ...call, abortSignal: guard.signal }));
    const reader = stream.getReader();
    while (true) {
      const { done, value } = await guard.wait(reader.read());
      if (done) throw new ModelError("unavailable", `${options.source.label} ended its answer before it was complete.`);
      if (value.type === "finish") {
        yield finishStep(value, answerContent(answer), request, options.source);
        return;
      }
      if (value.type === "error") throw toModelError(value.error, options.source);
      yield* addPart(answer, value);
    }
  } catch (error) {
    throw guard.failure() ?? toModelError(error, options.source);
  } finally {
    guard.release();
  }
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

/** Ends a wait that lasts too long or is aborted, whatever the provider's stream does about it. */
function guardStream(abortSignal: AbortSignal, { idleTimeoutMs, source }: StepStreamOptions) {
  const idle = new AbortController();
  const signal = AbortSignal.any([abortSignal, idle.signal]);
  const cut = new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  cut.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  return {
    signal,
    async wait<Value>(started: PromiseLike<Value>): Promise<Value> {
      const work = Promise.resolve(started);
      timer = setTimeout(() => idle.abort(), idleTimeoutMs);
      // The loser of the race rejects later, with nobody listening.
      work.catch(() => undefined);
      try {
        return await Promise.race([cut, work]);
      } finally {
        clearTimeout(timer);
      }
    },
    failure(): ModelError | null {
      if (abortSignal.aborted) return new ModelError("aborted", "The model call was aborted.");
      if (!idle.signal.aborted) return null;
      const seconds = Math.round(idleTimeoutMs / 1000);
      return new ModelError("unavailable", `${source.label} sent nothing for ${seconds} seconds.`);
    },
    /** Also closes the connection of a stream that its reader left early. */
    release() {
      clearTimeout(timer);
      idle.abort();
    },
  };
}

/**
 * Watches the stream of any adapter: bounds its silences, ends at an abort whatever the adapter does about it, and puts
 * on every failure what the attempt used. One place for all providers.
 * @module
 */
import {
  type ModelAdapter,
  ModelError,
  type ModelErrorKind,
  type ModelRequest,
  type ModelStreamPart,
  type ModelUsage,
  type SignOfLife,
} from "./model.ts";
import { estimatedUsage } from "./usage.ts";

export interface SilenceLimits {
  /** Longest silence before the first text or call, and within a thought: models think without a word. Milliseconds. */
  readonly firstPartMs: number;
  /** Longest silence after that. Milliseconds. */
  readonly nextPartMs: number;
}

/** Kinds that a provider does not charge for when they come before any answer. */
const refusals: readonly ModelErrorKind[] = [
  "rate_limited",
  "overloaded",
  "rejected",
  "unauthenticated",
  "context_overflow",
  "not_configured",
];

const unused: ModelUsage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, estimated: true };

/** Rejects with a {@link ModelError} only, its usage set. Signs of life are counted and go no further. */
export async function* watchStream(
  stream: ModelAdapter["stream"],
  request: ModelRequest,
  limits: SilenceLimits,
): AsyncGenerator<ModelStreamPart> {
  const end = new AbortController();
  const abortSignal = AbortSignal.any([request.abortSignal, end.signal]);
  const progress = createProgress();
  const wait = createWait(request.abortSignal);
  let iterator: AsyncIterator<ModelStreamPart | SignOfLife> | undefined;
  try {
    if (request.abortSignal.aborted) throw aborted();
    iterator = stream({ ...request, abortSignal })[Symbol.asyncIterator]();
    while (true) {
      const next = await wait.within(iterator.next(), progress.silence(limits));
      if (next.done === true) return;
      progress.add(next.value);
      if (next.value.type === "sign_of_life") continue;
      yield next.value;
      if (next.value.type === "finish") return;
    }
  } catch (error) {
    throw withUsage(error, request, progress, wait.timedOut());
  } finally {
    wait.release();
    // Closes the connection of a stream that its reader left early.
    end.abort();
    // Not awaited: an adapter that hangs would hang here too.
    iterator?.return?.().catch(() => undefined);
  }
}

interface Silence {
  readonly limitMs: number;
  readonly between: "before its answer began" | "within its answer";
}

function createProgress() {
  let arrived = false;
  let answering = false;
  let thinking = false;
  let characters = 0;
  return {
    add(part: ModelStreamPart | SignOfLife) {
      arrived = true;
      if (part.type === "thinking_start") thinking = true;
      if (part.type === "thinking_end") thinking = false;
      if (part.type === "text_start" || part.type === "tool_call_start") answering = true;
      if (part.type === "text_delta") characters += part.text.length;
      if (part.type === "tool_call_start") characters += part.toolName.length;
      if (part.type === "sign_of_life") characters += part.characters;
    },
    silence({ firstPartMs, nextPartMs }: SilenceLimits): Silence {
      return answering && !thinking
        ? { limitMs: nextPartMs, between: "within its answer" }
        : { limitMs: firstPartMs, between: "before its answer began" };
    },
    arrived: () => arrived,
    characters: () => characters,
  };
}

function createWait(abortSignal: AbortSignal) {
  let timedOut = false;
  let cut = (_error: ModelError): void => undefined;
  const abort = () => cut(aborted());
  abortSignal.addEventListener("abort", abort, { once: true });
  return {
    timedOut: () => timedOut,
    within<Value>(work: Promise<Value>, { limitMs, between }: Silence): Promise<Value> {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          timedOut = true;
          reject(new ModelError("unavailable", `The model sent nothing for ${limitMs / 1000} seconds ${between}.`));
        }, limitMs).unref();
        const settle = () => clearTimeout(timer);
        cut = (error) => {
          settle();
          reject(error);
        };
        work.then(
          (value) => {
            settle();
            resolve(value);
          },
          (error: unknown) => {
            settle();
            reject(error);
          },
        );
      });
    },
    release: () => abortSignal.removeEventListener("abort", abort),
  };
}

function aborted(): ModelError {
  return new ModelError("aborted", "The model call was aborted.");
}

function withUsage(
  error: unknown,
  request: ModelRequest,
  progress: ReturnType<typeof createProgress>,
  timedOut: boolean,
): ModelError {
  const known = error instanceof ModelError ? error : new ModelError("unavailable", "The model call failed.");
  const begun = progress.arrived() && !refusals.includes(known.kind);
  const mayBeCharged = begun || progress.characters() > 0 || timedOut;
  const usage = mayBeCharged ? estimatedUsage(request, progress.characters()) : unused;
  return new ModelError(known.kind, known.message, known.retryAfterMs, known.usage ?? usage);
}

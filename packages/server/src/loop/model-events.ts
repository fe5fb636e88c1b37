/** What a model call leaves in the log, whatever it was for: its usage, its cost, its failure and when to try again. @module */
import type { ModelError, ModelErrorKind, ModelUsage } from "../models/model.ts";
import { modelForAttempt } from "../models/fallback.ts";
import { type NewEvent, publicEvent } from "../sessions/event.ts";
import type { ModelPurpose, SessionState } from "../sessions/state.ts";
import { contextTokens } from "./context-size.ts";
import type { TurnLimits } from "./decide.ts";
import type { Effects, ModelOutcome } from "./effects.ts";

const firstRetryDelayMs = 500;
const longestRetryDelayMs = 60_000;

/** What is due: the model that is asked now, and what has failed before. */
export interface Attempt {
  readonly purpose: ModelPurpose;
  readonly model: string;
  readonly failures: readonly ModelErrorKind[];
}

export function nextAttempt(state: SessionState, purpose: ModelPurpose, effects: Effects): Attempt {
  const failures = state.modelFailure?.purpose === purpose ? state.modelFailure.kinds : [];
  const model = modelForAttempt(effects.models, failures) ?? effects.models[0] ?? "";
  return { purpose, model, failures };
}

/** The intent. A session that was parked runs again. */
export function startEvents(state: SessionState, attempt: Attempt): readonly [...NewEvent[], NewEvent] {
  const record = { purpose: attempt.purpose, model: attempt.model };
  return [...runningEvents(state), publicEvent("span.model_request_start", {}, { record })];
}

export function runningEvents(state: SessionState): readonly NewEvent[] {
  return state.status === "running" ? [] : [publicEvent("session.status_running", {})];
}

export function answeredEvent(
  startId: string,
  attempt: Attempt,
  outcome: Extract<ModelOutcome, { type: "answered" }>,
  effects: Effects,
): NewEvent {
  const { content, finishReason, usage } = outcome;
  return publicEvent(
    "span.model_request_end",
    { model_request_start_id: startId, is_error: false, model_usage: publicUsage(usage) },
    { record: { content, finish_reason: finishReason, usage, ...costRecord(attempt.model, usage, effects) } },
  );
}

export function interruptedEvent(
  startId: string,
  attempt: Attempt,
  state: SessionState,
  known: ModelUsage | null,
  effects: Effects,
): NewEvent {
  const usage = known ?? estimate(state);
  return publicEvent(
    "span.model_request_end",
    { model_request_start_id: startId, is_error: true, model_usage: publicUsage(usage) },
    { record: { interrupted: true, ...costRecord(attempt.model, usage, effects) } },
  );
}

/** A failed attempt is charged like any other; what the provider did not tell is estimated. */
export function failedEvents(
  startId: string,
  attempt: Attempt,
  error: ModelError,
  state: SessionState,
  effects: Effects,
  limits: TurnLimits,
): readonly NewEvent[] {
  const failures = [...attempt.failures, error.kind];
  const { kind, message } = error;
  const next = kind === "context_overflow" ? null : modelForAttempt(effects.models, failures);
  const retryable = next !== null && failures.length < limits.maximumModelAttempts;
  // Another model has not said that it is busy.
  const delay = next === attempt.model ? retryDelay(error, failures.length, effects.random()) : 0;
  const usage = error.usage ?? estimate(state);
  const end = publicEvent(
    "span.model_request_end",
    { model_request_start_id: startId, is_error: true, model_usage: publicUsage(usage) },
    {
      record: {
        failure: { kind, message, retryable, retry_at: effects.now() + delay, model: attempt.model },
        ...costRecord(attempt.model, usage, effects),
      },
    },
  );
  const overflow = kind === "context_overflow" && attempt.purpose === "step" && state.compactionsInARow === 0;
  const retry_status = { type: retryable || overflow ? "retrying" : "exhausted" };
  const type = kind === "context_overflow" && !overflow ? "compaction_limit_reached_error" : errorType(error);
  return [end, publicEvent("session.error", { error: { type, message, retry_status } })];
}

/** Nothing is known of what the model answered: the attempt counts as failed and is made again. */
export function lostEvents(state: SessionState, startId: string, effects: Effects): readonly NewEvent[] {
  const attempt = nextAttempt(state, state.modelCall?.purpose ?? "step", effects);
  const usage = estimate(state);
  const failure = { kind: "unavailable", retryable: true, retry_at: effects.now(), message: "the worker was lost" };
  return [
    publicEvent(
      "span.model_request_end",
      { model_request_start_id: startId, is_error: true, model_usage: publicUsage(usage) },
      { record: { failure: { ...failure, model: attempt.model }, ...costRecord(attempt.model, usage, effects) } },
    ),
  ];
}

/** The request was sent; what came back is not known. */
function estimate(state: SessionState): ModelUsage {
  return { input: contextTokens(state), output: 0, cacheRead: 0, cacheWrite: 0, estimated: true };
}

function costRecord(model: string, usage: ModelUsage, effects: Effects) {
  return { model, cost_micros: effects.cost(model, usage) };
}

/** The API counts uncached input; a provider's total includes what it read from and wrote to its cache. */
export function publicUsage(usage: ModelUsage) {
  return {
    input_tokens: Math.max(0, usage.input - usage.cacheRead - usage.cacheWrite),
    output_tokens: usage.output,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
  };
}

/** What the provider asked for, else exponential with up to a quarter of jitter. Milliseconds. */
function retryDelay(error: ModelError, attempts: number, random: number): number {
  if (error.retryAfterMs !== undefined) return Math.min(error.retryAfterMs, 15 * longestRetryDelayMs);
  const delay = Math.min(longestRetryDelayMs, firstRetryDelayMs * 2 ** (attempts - 1));
  return Math.round(delay * (1 - random / 4));
}

function errorType(error: ModelError): string {
  if (error.kind === "rate_limited") return "model_rate_limited_error";
  if (error.kind === "overloaded") return "model_overloaded_error";
  return "model_request_failed_error";
}

/** The model call as intent, effect and result. @module */
import { createId } from "@exoloop/protocol/ids";
import type { AssistantPart, ModelUsage } from "../models/model.ts";
import { ModelError } from "../models/model.ts";
import { type LogEvent, type NewEvent, publicEvent } from "../sessions/event.ts";
import type { SessionState } from "../sessions/state.ts";
import type { TurnLimits } from "./decide.ts";
import type { Effects, ModelOutcome } from "./effects.ts";

const firstRetryDelayMs = 500;
const longestRetryDelayMs = 60_000;

const emptyUsage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

/** Nothing is known of what the model answered: the attempt counts as failed and is made again. */
export function lostModelCall(startId: string, now: number) {
  return publicEvent(
    "span.model_request_end",
    { model_request_start_id: startId, is_error: true, model_usage: emptyUsage },
    { record: { failure: { kind: "unavailable", retryable: true, retry_at: now, message: "the worker was lost" } } },
  );
}

export async function callModel(
  state: SessionState,
  effects: Effects,
  limits: TurnLimits,
): Promise<readonly LogEvent[] | null> {
  const start = publicEvent("span.model_request_start", {});
  const intent = await effects.append({
    events: state.status === "running" ? [start] : [publicEvent("session.status_running", {}), start],
    status: "running",
  });
  const outcome = await effects.interruptible(state.seq, intent, (abortSignal) =>
    effects.callModel({ ...effects.describe(state), abortSignal }),
  );
  const events = resultEvents(refuseEmpty(outcome), start.id, state, effects, limits);
  const result = await effects.append({ events });
  return intent === null || result === null ? null : [...intent, ...result];
}

/** An answer without text, thought or call would make the loop ask again for ever: it counts as a failed attempt. */
function refuseEmpty(outcome: ModelOutcome): ModelOutcome {
  if (outcome.type !== "answered" || outcome.finishReason === "refusal") return outcome;
  const said = outcome.content.some((part) => part.type === "tool_call" || (part.type === "text" && part.text !== ""));
  return said ? outcome : { type: "failed", error: new ModelError("unavailable", "The model gave an empty answer.") };
}

function resultEvents(
  outcome: ModelOutcome,
  startId: string,
  state: SessionState,
  effects: Effects,
  limits: TurnLimits,
): readonly NewEvent[] {
  const end = (isError: boolean, usage: Record<string, number>, record: Record<string, unknown>) =>
    publicEvent(
      "span.model_request_end",
      { model_request_start_id: startId, is_error: isError, model_usage: usage },
      { record },
    );
  switch (outcome.type) {
    case "answered": {
      const { content, finishReason } = outcome;
      return [
        ...messageEvents(content, outcome.previewIds),
        end(false, publicUsage(outcome.usage), { content, finish_reason: finishReason, usage: outcome.usage }),
      ];
    }
    case "interrupted":
      return [end(true, emptyUsage, { interrupted: true })];
    case "failed": {
      const attempts = (state.modelFailure?.attempts ?? 0) + 1;
      const retrying = outcome.error.retryable && attempts < limits.maximumModelAttempts;
      const { kind, message, retryable } = outcome.error;
      const retry_at = effects.now() + retryDelay(outcome.error, attempts, effects.random());
      return [
        end(true, emptyUsage, { failure: { kind, message, retryable, retry_at } }),
        publicEvent("session.error", {
          error: {
            type: errorType(outcome.error),
            message,
            retry_status: { type: retrying ? "retrying" : "exhausted" },
          },
        }),
      ];
    }
  }
}

/** One event per text and per thought, with the identifiers that previews have shown. */
function messageEvents(content: readonly AssistantPart[], previewIds: readonly string[]): readonly NewEvent[] {
  const shown = content.filter((part) => part.type !== "tool_call");
  return shown.flatMap((part, index): NewEvent[] => {
    const id = previewIds[index] ?? createId("event");
    if (part.type === "thinking") return [publicEvent("agent.thinking", {}, { id })];
    if (part.text === "") return [];
    return [publicEvent("agent.message", { content: [{ type: "text", text: part.text }] }, { id })];
  });
}

/** The API counts uncached input; a provider's total includes what it read from and wrote to its cache. */
function publicUsage(usage: ModelUsage) {
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

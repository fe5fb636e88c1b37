/** The next step of the model, as intent, effect and result. @module */
import { createId } from "@exoloop/protocol/ids";
import type { AssistantPart } from "../models/model.ts";
import { ModelError } from "../models/model.ts";
import { type LogEvent, type NewEvent, publicEvent } from "../sessions/event.ts";
import type { SessionState } from "../sessions/state.ts";
import type { TurnLimits } from "./decide.ts";
import type { Effects, ModelOutcome } from "./effects.ts";
import {
  type Attempt,
  answeredEvent,
  failedEvents,
  interruptedEvent,
  nextAttempt,
  startEvents,
} from "./model-events.ts";

export async function callModel(
  state: SessionState,
  effects: Effects,
  limits: TurnLimits,
): Promise<readonly LogEvent[] | null> {
  const attempt = nextAttempt(state, "step", effects);
  const start = startEvents(state, attempt);
  const startId = start.at(-1)?.id ?? "";
  // Only at the log's end: a message that came while a tool ran is heard by this call, not by the next one.
  const intent = await effects.append({ events: start, status: "running", onlyAt: state.seq });
  if (intent === null) return null;
  const outcome = await effects.interruptible(state.seq, intent, (abortSignal) =>
    effects.callModel({ ...effects.describe(state), model: attempt.model, abortSignal }, { shown: true }),
  );
  const events = resultEvents(refuseEmpty(outcome), startId, attempt, state, effects, limits);
  const result = await effects.append({ events, joins: true });
  return result === null ? null : [...intent, ...result];
}

/** An answer without text, thought or call would make the loop ask again for ever: it counts as a failed attempt. */
function refuseEmpty(outcome: ModelOutcome): ModelOutcome {
  if (outcome.type !== "answered" || outcome.finishReason === "refusal") return outcome;
  const said = outcome.content.some((part) => part.type === "tool_call" || (part.type === "text" && part.text !== ""));
  if (said) return outcome;
  return {
    type: "failed",
    error: new ModelError("unavailable", "The model gave an empty answer.", undefined, outcome.usage),
  };
}

function resultEvents(
  outcome: ModelOutcome,
  startId: string,
  attempt: Attempt,
  state: SessionState,
  effects: Effects,
  limits: TurnLimits,
): readonly NewEvent[] {
  switch (outcome.type) {
    case "answered":
      return [...messageEvents(outcome.content, outcome.previewIds), answeredEvent(startId, attempt, outcome, effects)];
    case "interrupted":
      return [interruptedEvent(startId, attempt, state, outcome.usage, effects)];
    case "failed":
      return failedEvents(startId, attempt, outcome.error, state, effects, limits);
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

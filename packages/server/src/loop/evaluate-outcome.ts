/** The judgement of an outcome as intent, effect and result: a second model call holds the work against the rubric. @module */
import { ModelError, type ModelUsage } from "../models/model.ts";
import { type LogEvent, type NewEvent, publicEvent } from "../sessions/event.ts";
import type { OutcomeState, SessionState } from "../sessions/state.ts";
import { textOf, withRequest } from "./compact.ts";
import type { TurnLimits } from "./decide.ts";
import type { Effects, ModelOutcome } from "./effects.ts";
import {
  type Attempt,
  answeredEvent,
  failedEvents,
  interruptedEvent,
  nextAttempt,
  publicUsage,
  startEvents,
} from "./model-events.ts";

type Result = "satisfied" | "needs_revision" | "max_iterations_reached" | "failed" | "interrupted";

interface Evaluation {
  readonly startId: string;
  readonly iteration: number;
}

const noUsage: ModelUsage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, estimated: false };
const longestExplanation = 10_000;

export async function evaluateOutcome(
  state: SessionState,
  outcome: OutcomeState,
  effects: Effects,
  limits: TurnLimits,
): Promise<readonly LogEvent[] | null> {
  const attempt = nextAttempt(state, "evaluation", effects);
  const calls = startEvents(state, attempt);
  const { iteration } = outcome;
  const opening = publicEvent("span.outcome_evaluation_start", { outcome_id: outcome.outcomeId, iteration });
  // A judgement whose driver was lost goes on under its own start.
  const begin = state.evaluation === null ? [...calls.slice(0, -1), opening, ...calls.slice(-1)] : calls;
  const evaluation = state.evaluation ?? { startId: opening.id, iteration };
  const intent = await effects.append({ events: begin, status: "running", onlyAt: state.seq });
  if (intent === null) return null;
  const answer = await effects.interruptible(state.seq, intent, (abortSignal) => {
    const messages = withRequest(state.transcript, requestOf(outcome));
    return effects.callModel(
      { ...effects.describe(state), messages, model: attempt.model, abortSignal },
      { shown: false },
    );
  });
  const startId = calls.at(-1)?.id ?? "";
  const events = resultEvents(answer, { startId, attempt, evaluation, outcome, state, effects, limits });
  const result = await effects.append({ events });
  return result === null ? null : [...intent, ...result];
}

interface Judged {
  readonly startId: string;
  readonly attempt: Attempt;
  readonly evaluation: Evaluation;
  readonly outcome: OutcomeState;
  readonly state: SessionState;
  readonly effects: Effects;
  readonly limits: TurnLimits;
}

function resultEvents(answer: ModelOutcome, judged: Judged): readonly NewEvent[] {
  const { startId, attempt, evaluation, outcome, state, effects, limits } = judged;
  if (answer.type === "interrupted") {
    return [
      interruptedEvent(startId, attempt, state, answer.usage, effects),
      endEvent(outcome, evaluation, "interrupted", "The user interrupted the evaluation."),
    ];
  }
  const judgement = answer.type === "answered" ? readJudgement(textOf(answer.content), outcome) : null;
  if (answer.type === "answered" && judgement !== null) {
    return [
      answeredEvent(startId, attempt, { ...answer, content: [] }, effects),
      endEvent(outcome, evaluation, judgement.result, judgement.explanation, answer.usage),
    ];
  }
  const error =
    answer.type === "failed"
      ? answer.error
      : new ModelError("unavailable", "The model gave no judgement.", undefined, answer.usage);
  return failedEvents(startId, attempt, error, state, effects, limits);
}

/** An evaluation that will not go on: its start must not stay without an end. */
export function abandonedEvaluation(state: SessionState, result: "interrupted" | "failed", why: string): NewEvent[] {
  if (state.evaluation === null || state.outcome === null) return [];
  return [endEvent(state.outcome, state.evaluation, result, why)];
}

function endEvent(
  outcome: OutcomeState,
  evaluation: Evaluation,
  result: Result,
  explanation: string,
  usage: ModelUsage = noUsage,
): NewEvent {
  return publicEvent("span.outcome_evaluation_end", {
    outcome_id: outcome.outcomeId,
    iteration: evaluation.iteration,
    outcome_evaluation_start_id: evaluation.startId,
    explanation,
    result,
    usage: publicUsage(usage),
  });
}

function requestOf(outcome: OutcomeState): string {
  return [
    "<outcome_evaluation_request>",
    `iteration: ${outcome.iteration}`,
    "You are now a strict reviewer of the work above. Judge only by what the conversation shows, not by what it claims.",
    `The outcome: ${outcome.description}`,
    "<rubric>",
    outcome.rubric,
    "</rubric>",
    'Answer with JSON only: {"result": "satisfied" | "needs_revision" | "failed", "explanation": "…"}.',
    "needs_revision: some criteria are not met; the explanation names each of them and why.",
    "failed: the rubric does not apply to this work.",
    "Call no tool.",
    "</outcome_evaluation_request>",
  ].join("\n");
}

/** Null when the answer is not what was asked for. */
function readJudgement(
  text: string,
  outcome: OutcomeState,
): { readonly result: Result; readonly explanation: string } | null {
  const value = parseObject(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
  const result = value?.["result"];
  const given = value?.["explanation"];
  const explanation = typeof given === "string" ? given.slice(0, longestExplanation) : "";
  if (result === "satisfied" || result === "failed") return { result, explanation };
  if (result !== "needs_revision") return null;
  const last = outcome.iteration + 1 >= outcome.maximumIterations;
  return { result: last ? "max_iterations_reached" : "needs_revision", explanation };
}

function parseObject(json: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

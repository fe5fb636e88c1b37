/** Which model of a list is asked next, after what has failed. Pure. @module */
import type { ModelErrorKind } from "./model.ts";

/** How often one model is asked before the next one is. */
const attemptsOfOneModel: Readonly<Record<ModelErrorKind, number>> = {
  rate_limited: 3,
  unavailable: 3,
  // It says itself that it has too much to do.
  overloaded: 2,
  // Asking the same model again changes nothing.
  rejected: 1,
  unauthenticated: 1,
  not_configured: 1,
  // Nothing that another model would do better: the conversation is compacted, or nobody wants the answer.
  context_overflow: Number.POSITIVE_INFINITY,
  aborted: Number.POSITIVE_INFINITY,
};

/**
 * The model of the next attempt. `failures` are those of this model call, oldest first, over all models. A model is left
 * when it has failed as often as the kind of its latest failure allows. Null: the last model has been left for a failure
 * that is final; one that may pass is met by asking the last model again, for as long as the loop wants to.
 * @example modelForAttempt(["claude-opus-5-5", "gpt-6.1-sol"], ["overloaded", "overloaded"]) // "gpt-6.1-sol"
 */
export function modelForAttempt(models: readonly string[], failures: readonly ModelErrorKind[]): string | null {
  let index = 0;
  let attempts = 0;
  for (const kind of failures) {
    attempts += 1;
    const allowed = attemptsOfOneModel[kind];
    if (attempts < allowed) continue;
    const isLast = index >= models.length - 1;
    if (isLast && allowed > 1) continue;
    index += 1;
    attempts = 0;
  }
  return models[index] ?? null;
}

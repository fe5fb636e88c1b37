import { expect, test } from "vitest";
import { modelForAttempt } from "./fallback.ts";
import type { ModelErrorKind } from "./model.ts";

const three = ["first", "second", "third"];
const repeat = (kind: ModelErrorKind, times: number): ModelErrorKind[] => Array.from({ length: times }, () => kind);

const cases: readonly [models: readonly string[], failures: readonly ModelErrorKind[], expected: string | null][] = [
  [three, [], "first"],
  [three, ["unavailable"], "first"],
  [three, repeat("unavailable", 2), "first"],
  [three, repeat("unavailable", 3), "second"],
  [three, repeat("unavailable", 6), "third"],
  [three, repeat("unavailable", 60), "third"],
  [three, repeat("rate_limited", 2), "first"],
  [three, repeat("rate_limited", 3), "second"],
  [three, ["overloaded"], "first"],
  [three, repeat("overloaded", 2), "second"],
  [three, repeat("overloaded", 4), "third"],
  // The latest failure decides about the model that is asked now.
  [three, ["unavailable", "overloaded"], "second"],
  [three, ["overloaded", "unavailable"], "first"],
  [three, ["overloaded", "overloaded", "unavailable", "unavailable"], "second"],
  // At once.
  [three, ["not_configured"], "second"],
  [three, ["unauthenticated"], "second"],
  [three, ["rejected"], "second"],
  [three, ["not_configured", "rate_limited"], "second"],
  [three, ["not_configured", "rejected"], "third"],
  [three, ["unavailable", "unavailable", "rejected", "unavailable"], "second"],
  // Nothing is left.
  [three, ["not_configured", "rejected", "unauthenticated"], null],
  [["only"], ["rejected"], null],
  [["only"], repeat("overloaded", 9), "only"],
  [["only"], [...repeat("overloaded", 9), "rejected"], null],
  [["only"], ["rejected", "unavailable"], null],
  [[], [], null],
  // No other model helps.
  [three, repeat("context_overflow", 5), "first"],
  [three, ["aborted"], "first"],
];

test.each(cases)("%j after %j: %s", (models, failures, expected) => {
  expect(modelForAttempt(models, failures)).toBe(expected);
});

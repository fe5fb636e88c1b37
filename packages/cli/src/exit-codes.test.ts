import { expect, test } from "vitest";
import { CommandError, describeFailure, exitCodeOfStop, exitCodes } from "./exit-codes.ts";

const url = "http://127.0.0.1:1";

test.each([
  [400, exitCodes.failure],
  [401, exitCodes.authentication],
  [403, exitCodes.authentication],
  [404, exitCodes.notFound],
  [402, exitCodes.budgetReached],
  [500, exitCodes.failure],
])("an answer with status %i exits with %i and shows message and hint", (status, exitCode) => {
  const error = Object.assign(new Error("It failed."), { status, hint: "Do this." });
  expect(describeFailure(error, url)).toEqual({ message: "It failed.\nDo this.", exitCode });
});

test("a refused connection, however deep fetch hides it, is one sentence that names the remedy", () => {
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  const wrapped = new TypeError("fetch failed", { cause: new AggregateError([refused]) });
  expect(describeFailure(wrapped, url)).toEqual({
    message: "No server answers at http://127.0.0.1:1: start one with `exoloop up`.",
    exitCode: 1,
  });
});

test("start-up and sandbox errors are shown with their remedy and without a stack", () => {
  class SandboxUnavailableError extends Error {
    override readonly name = "SandboxUnavailableError";
    readonly remedy = "apt-get install bubblewrap";
  }
  expect(describeFailure(new SandboxUnavailableError("bubblewrap is missing")).message).toBe(
    "bubblewrap is missing\napt-get install bubblewrap",
  );
});

test("what is ours keeps its code, what nobody expected shows where it came from", () => {
  expect(describeFailure(new CommandError("Two agents match.", exitCodes.usage))).toEqual({
    message: "Two agents match.",
    exitCode: 2,
  });
  expect(describeFailure(new RangeError("boom")).message).toContain("exit-codes.test.ts");
});

test("a server cannot reach the terminal through an error", () => {
  const error = Object.assign(new Error("\u001b[2J"), { status: 500 });
  expect(describeFailure(error).message).toBe("\\x1b[2J");
});

test("stop reasons", () => {
  expect(["end_turn", "requires_action", "budget_reached", "refusal", "retries_exhausted"].map(exitCodeOfStop)).toEqual(
    [0, 5, 6, 1, 1],
  );
});

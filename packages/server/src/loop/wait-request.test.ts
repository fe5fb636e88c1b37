import { describe, expect, it, test } from "vitest";
import { readWaitRequest } from "./wait-request.ts";

const now = Date.UTC(2030, 0, 1);
const day = 86_400;

describe("what a call of wait_for asks for", () => {
  it.each([
    [{ seconds: 1.5 }, { type: "instant", until: now + 1_500 }],
    [{ seconds: 30 * day }, { type: "instant", until: now + 30 * day * 1000 }],
    [
      { until: "2030-01-02T00:00:00Z", seconds: null },
      { type: "instant", until: now + day * 1000 },
    ],
    [{ until: "2030-01-02T02:00:00+02:00" }, { type: "instant", until: now + day * 1000 }],
    [{ until: "2029-01-01T00:00:00Z" }, { type: "instant", until: Date.UTC(2029, 0, 1) }],
    [{ webhook: "ci" }, { type: "webhook", name: "ci", until: now + day * 1000 }],
    [
      { webhook: "ci", timeout_seconds: 60 },
      { type: "webhook", name: "ci", until: now + 60_000 },
    ],
    [
      { session_id: "sesn_1", timeout_seconds: 30 * day },
      { type: "session", sessionId: "sesn_1", until: now + 30 * day * 1000 },
    ],
  ])("%j", (input, wait) => {
    expect(readWaitRequest(input, now)).toEqual({ type: "wait", wait });
  });
});

test.each([
  [{}, "exactly one of"],
  [{ timeout_seconds: 5 }, "exactly one of"],
  [{ seconds: 1, webhook: "ci" }, "exactly one of"],
  [{ seconds: 0 }, "seconds is not a number above 0"],
  [{ seconds: -1 }, "seconds is not"],
  [{ seconds: "10" }, "seconds is not"],
  [{ seconds: Number.POSITIVE_INFINITY }, "seconds is not"],
  [{ seconds: 30 * day + 1 }, "more than thirty days"],
  [{ until: "2030-02-15T00:00:00Z" }, "more than thirty days"],
  [{ until: "tomorrow" }, "until is not an instant"],
  [{ until: "2030-01-02T00:00:00" }, "until is not an instant"],
  [{ until: "2030-13-45T00:00:00Z" }, "until is not an instant"],
  [{ webhook: "" }, "webhook is not a name"],
  [{ webhook: 7 }, "webhook is not a name"],
  [{ webhook: "x".repeat(129) }, "webhook is not a name"],
  [{ session_id: {} }, "session_id is not a name"],
  [{ webhook: "ci", timeout_seconds: 0 }, "timeout_seconds"],
  [{ webhook: "ci", timeout_seconds: "60" }, "timeout_seconds"],
  [{ webhook: "ci", timeout_seconds: 30 * day + 1 }, "timeout_seconds"],
])("%j is refused in one sentence", (input, problem) => {
  const asked = readWaitRequest(input, now);
  expect(asked.type).toBe("invalid");
  expect(asked.type === "invalid" && asked.problem).toContain(problem);
});

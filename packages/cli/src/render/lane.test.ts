import { expect, test } from "vitest";
import {
  formatMilliseconds,
  initialLane,
  type LaneState,
  readSandboxFrame,
  type SandboxFrame,
  stepLane,
} from "./lane.ts";

const frame = (status: SandboxFrame["status"], milliseconds: number, second: string): SandboxFrame => ({
  status,
  generation: 2,
  milliseconds,
  at: `2026-01-01T00:00:0${second}Z`,
});

test("a life: created, awake, suspended with the time awake, lost, replaced", () => {
  let state: LaneState = initialLane;
  const said: (string | null)[] = [];
  const life = [
    frame("creating", 0, "0"),
    frame("waking", 0, "0"),
    frame("awake", 0.94, "1.000"),
    frame("suspended", 0.4, "1.250"),
    frame("snapshotted", 31, "2"),
    frame("gone", 0, "3"),
    frame("replaced", 412, "4"),
  ];
  for (const each of life) {
    const step = stepLane(state, each);
    state = step.state;
    said.push(step.label);
  }
  expect(said).toEqual([
    "creating",
    null,
    "awake in 0.9 ms",
    "suspended after 250 ms",
    "snapshot in 31 ms",
    "gone",
    "replaced: generation 2, in 412 ms",
  ]);
  expect(state).toEqual({ tone: "asleep", awakeSince: null });
});

test("a snapshot does not change whether it is awake", () => {
  const awake = stepLane(initialLane, frame("awake", 1, "1")).state;
  expect(stepLane(awake, frame("snapshotted", 5, "2")).state).toEqual(awake);
});

test("a suspension that was not seen to begin says no time", () => {
  expect(stepLane(initialLane, frame("suspended", 1, "1")).label).toBe("suspended");
  expect(stepLane(initialLane, { ...frame("awake", 1, "1"), at: "no date" }).state.awakeSince).toBeNull();
});

test("other frames and unknown states are not sandbox frames", () => {
  expect(readSandboxFrame({ type: "agent.message" })).toBeNull();
  expect(readSandboxFrame({ type: "x_exoloop.sandbox_status", status: "flying" })).toBeNull();
  expect(readSandboxFrame({ type: "x_exoloop.sandbox_status", status: "awake" })).toEqual({
    status: "awake",
    generation: 0,
    milliseconds: 0,
    at: "",
  });
});

test("milliseconds and seconds", () => {
  expect([0.04, 9.96, 10.4, 999, 1500, 61_000].map(formatMilliseconds)).toEqual([
    "0.0 ms",
    "10.0 ms",
    "10 ms",
    "999 ms",
    "1.5 s",
    "61 s",
  ]);
});

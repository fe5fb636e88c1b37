import { expect, test } from "vitest";
import { planRuns, type ScheduleState } from "./plan.ts";

const hourly = { expression: "0 * * * *", timezone: "UTC" };
const at = (clock: string) => new Date(`2026-09-01T${clock}:00Z`);
const clocks = (instants: readonly Date[]) => instants.map((instant) => instant.toISOString().slice(11, 16));

function plan(state: Partial<ScheduleState>, now: Date) {
  const result = planRuns(
    {
      schedule: hourly,
      nextRunAt: at("09:00"),
      queued: [],
      missedRuns: "run_once",
      overlap: "skip",
      going: false,
      ...state,
    },
    now,
  );
  return {
    start: result.start?.toISOString().slice(11, 16) ?? null,
    queued: clocks(result.queued),
    skipped: clocks(result.skipped),
    next: result.nextRunAt?.toISOString().slice(11, 16),
  };
}

test("an instant that has come is started, and the next one is after now", () => {
  expect(plan({}, at("08:59"))).toEqual({ start: null, queued: [], skipped: [], next: "09:00" });
  expect(plan({}, at("09:00"))).toEqual({ start: "09:00", queued: [], skipped: [], next: "10:00" });
  // A minute late is still on time.
  expect(plan({ missedRuns: "skip" }, at("09:01"))).toMatchObject({ start: "09:00", skipped: [] });
});

test.each([
  ["skip", { start: null, queued: [], skipped: ["09:00", "10:00", "11:00"], next: "12:00" }],
  ["run_once", { start: "11:00", queued: [], skipped: ["09:00", "10:00"], next: "12:00" }],
  ["run_all", { start: "09:00", queued: ["10:00", "11:00"], skipped: [], next: "12:00" }],
] as const)("missed instants: %s", (missedRuns, expected) => {
  expect(plan({ missedRuns }, at("11:30"))).toEqual(expected);
});

test("a run on time makes up for the missed ones, unless all are to run", () => {
  expect(plan({}, at("11:00"))).toMatchObject({ start: "11:00", queued: [], skipped: ["09:00", "10:00"] });
  expect(plan({ missedRuns: "run_all" }, at("11:00"))).toMatchObject({ start: "09:00", queued: ["10:00"] });
  expect(plan({ missedRuns: "run_all", overlap: "queue" }, at("11:00"))).toMatchObject({
    start: "09:00",
    queued: ["10:00", "11:00"],
  });
});

test.each([
  ["skip", { start: null, queued: [], skipped: ["09:00"], next: "10:00" }],
  ["queue", { start: null, queued: ["09:00"], skipped: [], next: "10:00" }],
] as const)("an instant that comes while a run goes on: %s", (overlap, expected) => {
  expect(plan({ overlap, going: true }, at("09:00"))).toEqual(expected);
});

test("what was missed waits for a run that goes on, whatever the policy for overlaps", () => {
  expect(plan({ going: true }, at("11:30"))).toMatchObject({ start: null, queued: ["11:00"] });
});

test("what is queued is started in order, one at a time", () => {
  const queued = [at("07:00"), at("08:00")];
  expect(plan({ queued, nextRunAt: at("09:00") }, at("08:30"))).toMatchObject({ start: "07:00", queued: ["08:00"] });
  expect(plan({ queued, overlap: "queue" }, at("09:00"))).toMatchObject({ start: "07:00", queued: ["08:00", "09:00"] });
  expect(plan({ queued, schedule: null, nextRunAt: null }, at("08:30"))).toMatchObject({ start: "07:00" });
});

test("the queue is bounded: the oldest are passed over", () => {
  const queued = Array.from({ length: 100 }, (_, index) => new Date(at("00:00").getTime() + index * 60_000));
  const full = plan({ queued, overlap: "queue", going: true }, at("09:00"));
  expect(full.queued).toHaveLength(100);
  expect(full.queued.at(-1)).toBe("09:00");
  expect(full.skipped).toEqual(["00:00"]);
  const longAgo = new Date("2026-01-01T00:00:00Z");
  const all = planRuns(
    { schedule: hourly, nextRunAt: longAgo, queued: [], missedRuns: "run_all", overlap: "skip", going: true },
    at("11:30"),
  );
  expect(all.queued).toHaveLength(100);
  expect(clocks(all.queued).at(-1)).toBe("11:00");
});

import { expect, test } from "vitest";
import { Problem } from "../errors.ts";
import { checkSchedule, lastOccurrences, nextOccurrence, nextOccurrences } from "./cron.ts";

const now = new Date("2026-09-01T00:00:00Z");
const times = (expression: string, timezone: string, after: string, count: number) =>
  nextOccurrences({ expression, timezone }, new Date(after), count).map((instant) =>
    instant.toISOString().replace(":00.000Z", "Z"),
  );

test("an instant is strictly after the one it is asked from, by the clock on the wall", () => {
  expect(times("0 9 * * 1-5", "America/New_York", "2026-09-04T13:00:00Z", 2)).toEqual([
    "2026-09-07T13:00Z",
    "2026-09-08T13:00Z",
  ]);
  expect(times("0 9 * * *", "Asia/Kathmandu", "2026-09-04T00:00:00Z", 1)).toEqual(["2026-09-04T03:15Z"]);
  // Restricted both, either day will do; 7 is Sunday.
  expect(times("0 0 13 * 7", "UTC", "2026-09-07T00:00:00Z", 3)).toEqual([
    "2026-09-13T00:00Z",
    "2026-09-20T00:00Z",
    "2026-09-27T00:00Z",
  ]);
  expect(times("0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", 1)).toEqual(["2104-02-29T00:00Z"]);
});

test("a time that the change to summer time leaves out does not come that day", () => {
  expect(times("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3)).toEqual([
    "2026-03-28T01:30Z",
    "2026-03-30T00:30Z",
    "2026-03-31T00:30Z",
  ]);
  // Midnight itself is left out in Santiago.
  expect(times("0 0 * * *", "America/Santiago", "2026-09-05T00:00:00Z", 2)).toEqual([
    "2026-09-05T04:00Z",
    "2026-09-07T03:00Z",
  ]);
  expect(times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:10:00Z", 3)).toEqual([
    "2026-03-29T00:30Z",
    "2026-03-29T01:00Z",
    "2026-03-29T01:30Z",
  ]);
});

test("a time that the change back repeats comes twice", () => {
  expect(times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 3)).toEqual([
    "2026-10-25T00:30Z",
    "2026-10-25T01:30Z",
    "2026-10-26T01:30Z",
  ]);
  // Asked from within the first round, when the next year's would also be at this offset.
  expect(times("30 2 25 10 *", "Europe/Berlin", "2026-10-25T00:50:00Z", 2)).toEqual([
    "2026-10-25T01:30Z",
    "2027-10-25T00:30Z",
  ]);
  // Half an hour only, on Lord Howe.
  expect(times("45 1 5 4 *", "Australia/Lord_Howe", "2026-04-01T00:00:00Z", 2)).toEqual([
    "2026-04-04T14:45Z",
    "2026-04-04T15:15Z",
  ]);
});

test("of a long time few instants are looked at, and the latest are kept", () => {
  const everyMinute = { expression: "* * * * *", timezone: "UTC" };
  const past = lastOccurrences(everyMinute, new Date("2016-01-01T00:00:00Z"), new Date("2026-01-01T00:00:30Z"), 3);
  expect(past.instants.map((instant) => instant.toISOString())).toEqual([
    "2025-12-31T23:58:00.000Z",
    "2025-12-31T23:59:00.000Z",
    "2026-01-01T00:00:00.000Z",
  ]);
  expect(past.more).toBe(true);
  const yearly = { expression: "0 0 1 1 *", timezone: "UTC" };
  const all = lastOccurrences(yearly, new Date("2024-01-01T00:00:00Z"), new Date("2026-06-01T00:00:00Z"), 100);
  expect(all.instants).toHaveLength(3);
  expect(all.more).toBe(false);
});

test.each([
  ["* * * *", "UTC", /it needs five fields and has 4/],
  ["0 0 0 * * *", "UTC", /has 6/],
  ["@daily", "UTC", /has 1/],
  ["60 * * * *", "UTC", /minute: 60 is not within 0 to 59/],
  ["* * 0 * *", "UTC", /day of month: 0 is not within 1 to 31/],
  ["* * * * 8", "UTC", /day of week: 8/],
  ["0 0 L * *", "UTC", /day of month: "L"/],
  ["0 0 ? * *", "UTC", /day of month: "\?"/],
  ["0 0 * * 1#2", "UTC", /day of week: "1#2"/],
  ["0 0 15W * *", "UTC", /day of month: "15W"/],
  ["H * * * *", "UTC", /minute: "H"/],
  ["0 0 * * mon", "UTC", /day of week: "mon"/],
  ["30-10 * * * *", "UTC", /runs backwards/],
  ["*/0 * * * *", "UTC", /step of 0/],
  ["5/10 * * * *", "UTC", /needs a range/],
  ["1,,2 * * * *", "UTC", /minute: ""/],
  ["0 0 30 2 *", "UTC", /no such date ever comes/],
  ["0 0 31 4,6,9,11 *", "UTC", /no such date ever comes/],
  ["0 9 * * *", "Mars/Olympus", /timezone: the time zone database has no "Mars\/Olympus"/],
  ["0 9 * * *", "+05:30", /timezone/],
])("%s in %s is refused by name", (expression, timezone, message) => {
  const check = () => checkSchedule({ expression, timezone }, "schedule", now);
  expect(check).toThrow(Problem);
  expect(check).toThrow(message);
});

test.each(["0 9 * * 1-5", "*/5 * * * *", "0-30/10 8,12,18 1 1-12 *", " 0  0 * * 0 "])("%s is taken", (expression) => {
  const schedule = { expression, timezone: "Europe/Berlin" };
  expect(() => checkSchedule(schedule, "schedule", now)).not.toThrow();
  expect(nextOccurrence(schedule, now)).not.toBeNull();
});

import { expect, it } from "vitest";
import { nextPeriod, periodStart } from "./periods.ts";

const leapDay = Date.UTC(2032, 1, 29, 23, 59, 59, 999);

it("are those of the UTC calendar, over the ends of months and years", () => {
  expect(periodStart("day", leapDay)).toBe("2032-02-29");
  expect(nextPeriod("day", leapDay)).toBe(leapDay + 1);
  expect(periodStart("month", leapDay)).toBe("2032-02-01");
  expect(nextPeriod("month", leapDay)).toBe(Date.UTC(2032, 2, 1));
  const newYearsEve = Date.UTC(2031, 11, 31, 12);
  expect(nextPeriod("day", newYearsEve)).toBe(Date.UTC(2032, 0, 1));
  expect(nextPeriod("month", newYearsEve)).toBe(Date.UTC(2032, 0, 1));
  expect(periodStart("total", leapDay)).toBeNull();
  expect(nextPeriod("total", leapDay)).toBeNull();
});

/** Periods of the UTC calendar. Pure. @module */
import type { BudgetPeriod } from "../db/tables/budgets.ts";

export const periods: readonly BudgetPeriod[] = ["day", "month", "total"];

/**
 * The first day of the period that `now` lies in, as `YYYY-MM-DD`; null for `total`, which has none.
 * @param now Milliseconds since the epoch.
 * @example periodStart("month", Date.UTC(2030, 1, 14)) // "2030-02-01"
 */
export function periodStart(period: BudgetPeriod, now: number): string | null {
  if (period === "total") return null;
  const day = new Date(now).toISOString().slice(0, "YYYY-MM-DD".length);
  return period === "day" ? day : `${day.slice(0, "YYYY-MM".length)}-01`;
}

/** When the next period begins, in milliseconds since the epoch; null for `total`. */
export function nextPeriod(period: BudgetPeriod, now: number): number | null {
  const date = new Date(now);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  if (period === "day") return Date.UTC(year, month, date.getUTCDate() + 1);
  return period === "month" ? Date.UTC(year, month + 1, 1) : null;
}

/** The five fields of a cron expression, matched on a clock that is never changed. cron-parser reads them. Pure. @module */
import { CronExpressionParser } from "cron-parser";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
/** 29 February is at most eight years away; nothing that comes at all comes later. */
export const horizon = 9 * 366 * day;

interface CronFields {
  /** Milliseconds after midnight, in order. */
  readonly times: readonly number[];
  readonly months: ReadonlySet<number>;
  readonly isDay: (date: Date) => boolean;
}

const maximumKnown = 1000;
const known = new Map<string, CronFields>();

/** @throws Error for an expression that is not one */
function readFields(expression: string): CronFields {
  const found = known.get(expression);
  if (found !== undefined) return found;
  const { fields } = CronExpressionParser.parse(expression);
  const numbers = (values: readonly (number | string)[]) => values.map(Number);
  const minutes = numbers(fields.minute.values);
  const days = new Set(numbers(fields.dayOfMonth.values));
  const weekdays = new Set(numbers(fields.dayOfWeek.values).map((weekday) => weekday % 7));
  const [, , daysText, , weekdaysText] = expression.trim().split(/\s+/);
  // Restricted both, either will do.
  const either = daysText !== "*" && weekdaysText !== "*";
  const read: CronFields = {
    times: numbers(fields.hour.values).flatMap((hours) => minutes.map((past) => hours * hour + past * minute)),
    months: new Set(numbers(fields.month.values)),
    isDay(date) {
      const [isDate, isWeekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())];
      return either ? isDate || isWeekday : isDate && isWeekday;
    },
  };
  if (known.size >= maximumKnown) known.clear();
  known.set(expression, read);
  return read;
}

/**
 * The first match after `wall`, both milliseconds of the clock; null when none comes within nine years.
 * @throws Error for an expression that is not one
 */
export function nextWallTime(expression: string, wall: number): number | null {
  const { times, months, isDay } = readFields(expression);
  const end = wall + horizon;
  for (let midnight = Math.floor(wall / day) * day; midnight < end;) {
    const date = new Date(midnight);
    if (!months.has(date.getUTCMonth() + 1)) {
      midnight = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
      continue;
    }
    const time = isDay(date) ? times.find((past) => midnight + past > wall) : undefined;
    if (time !== undefined) return midnight + time;
    midnight += day;
  }
  return null;
}

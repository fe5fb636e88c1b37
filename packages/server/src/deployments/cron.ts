/**
 * Cron schedules by the clock on the wall of a time zone, taken literally: a time that a change to summer time leaves
 * out does not come that day, and one that the change back repeats comes twice. Pure but for the time zone database.
 * @module
 */
import { Problem } from "../errors.ts";
import { horizon, nextWallTime } from "./cron-fields.ts";
import { openTimeZone } from "./time-zone.ts";

export interface Schedule {
  /** Minute, hour, day of month, month, day of week. */
  readonly expression: string;
  /** A name of the IANA time zone database. */
  readonly timezone: string;
}

const minute = 60_000;

const fields = [
  { name: "minute", first: 0, last: 59 },
  { name: "hour", first: 0, last: 23 },
  { name: "day of month", first: 1, last: 31 },
  { name: "month", first: 1, last: 12 },
  { name: "day of week", first: 0, last: 7 },
] as const;

/**
 * Checks a schedule as a caller wrote it. `field` is where it stands in the request.
 * @throws Problem `invalid_request`
 */
export function checkSchedule(schedule: Schedule, field: string, now: Date): void {
  checkTimezone(schedule.timezone, `${field}.timezone`);
  const parts = schedule.expression.trim().split(/\s+/);
  if (parts.length !== fields.length) {
    throw refuse(`${field}.expression`, `it needs five fields and has ${parts.length}`);
  }
  for (const [index, { name, first, last }] of fields.entries()) {
    for (const part of (parts[index] ?? "").split(",")) {
      const wrong = wrongPart(part, first, last);
      if (wrong !== null) throw refuse(`${field}.expression`, `${name}: ${wrong}`);
    }
  }
  if (!everComes(schedule, now)) throw refuse(`${field}.expression`, "no such date ever comes");
}

function everComes(schedule: Schedule, now: Date): boolean {
  try {
    return nextOccurrence(schedule, now) !== null;
  } catch {
    // The library itself refuses some of them.
    return false;
  }
}

function refuse(field: string, what: string): Problem {
  return new Problem(
    "invalid_request",
    `${field}: ${what}.`,
    'Write minute, hour, day of month, month and day of week, in numbers: "0 9 * * 1-5" is nine o\'clock on weekdays.',
  );
}

/** Null when the part is `*`, a number or a range, with or without a step. */
function wrongPart(part: string, first: number, last: number): string | null {
  const match = /^(?:\*|(\d{1,4})(?:-(\d{1,4}))?)(?:\/(\d{1,4}))?$/.exec(part);
  if (match === null) return `${JSON.stringify(part.slice(0, 40))} is not a number, a range, * or a step of one`;
  const [, from, to, step] = match;
  const outside = [from, to].find((text) => text !== undefined && (Number(text) < first || Number(text) > last));
  if (outside !== undefined) return `${outside} is not within ${first} to ${last}`;
  if (from !== undefined && to !== undefined && Number(from) > Number(to)) return `${part} runs backwards`;
  if (step === undefined) return null;
  if (Number(step) === 0) return "a step of 0 goes nowhere";
  return from !== undefined && to === undefined ? `${part} needs a range or * before its step` : null;
}

function checkTimezone(timezone: string, field: string): void {
  const problem = new Problem(
    "invalid_request",
    `${field}: the time zone database has no ${JSON.stringify(timezone)}.`,
    'Send a name such as "Europe/Berlin" or "UTC".',
  );
  // Offsets are no names of time zones, though the runtime takes them.
  if (!/^[A-Za-z]/.test(timezone)) throw problem;
  try {
    openTimeZone(timezone);
  } catch {
    throw problem;
  }
}

/** The first instant after `after`, or null when none comes within nine years. */
export function nextOccurrence({ expression, timezone }: Schedule, after: Date): Date | null {
  const zone = openTimeZone(timezone);
  const end = after.getTime() + horizon;
  let from = after.getTime();
  let offset = zone.offsetAt(from);
  let changed = from;
  while (from < end) {
    const wall = nextWallTime(expression, from + offset);
    if (wall === null) return null;
    const candidate = wall - offset;
    // Until the clocks change, the next match is a matter of one offset.
    const change = zone.nextChange(changed, Math.min(candidate, end));
    if (change === null) return candidate <= end ? new Date(candidate) : null;
    // The change's own instant may be a match.
    from = change.at - 1;
    ({ at: changed, offset } = change);
  }
  return null;
}

/** The next instants, in order. */
export function nextOccurrences(schedule: Schedule, after: Date, count: number): Date[] {
  const instants: Date[] = [];
  for (let from = after; instants.length < count;) {
    const next = nextOccurrence(schedule, from);
    if (next === null) break;
    instants.push(next);
    from = next;
  }
  return instants;
}

export interface PastOccurrences {
  /** The latest ones, oldest first. */
  readonly instants: readonly Date[];
  /** Whether there were earlier ones. */
  readonly more: boolean;
}

/** The latest `count` instants from `first`, which is one, to `last`. However long ago `first` was, few are looked at. */
export function lastOccurrences(schedule: Schedule, first: Date, last: Date, count: number): PastOccurrences {
  for (let span = (count + 1) * minute; ; span *= 4) {
    const start = Math.max(first.getTime(), last.getTime() - span);
    const instants: Date[] = [];
    for (let from = new Date(start - 1); ;) {
      const next = nextOccurrence(schedule, from);
      if (next === null || next > last) break;
      instants.push(next);
      from = next;
    }
    const whole = start === first.getTime();
    if (whole || instants.length > count) {
      return { instants: instants.slice(-count), more: instants.length > count || !whole };
    }
  }
}

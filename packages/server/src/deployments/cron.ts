/**
 * Cron schedules by the clock on the wall of a time zone, taken literally: a time that a change to summer time leaves
 * out does not come that day, and one that the change back repeats comes twice. Fields are matched by cron-parser, on
 * a clock without changes; where the changes lie is asked of the time zone. Pure but for the time zone database.
 * @module
 */
import { CronExpressionParser } from "cron-parser";
import { Problem } from "../errors.ts";

export interface Schedule {
  /** Minute, hour, day of month, month, day of week. */
  readonly expression: string;
  /** A name of the IANA time zone database. */
  readonly timezone: string;
}

const minute = 60_000;
const day = 86_400_000;
/** 29 February is at most eight years away; nothing that comes at all comes later. */
const horizon = 9 * 366 * day;
/** No time zone changes its clocks twice within this time. */
const stride = 7 * day;

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
    throw refuse(`${field}.expression`, `it has ${parts.length} fields instead of five`);
  }
  for (const [index, { name, first, last }] of fields.entries()) {
    for (const part of (parts[index] ?? "").split(",")) {
      const wrong = wrongPart(part, first, last);
      if (wrong !== null) throw refuse(`${field}.expression`, `${name}: ${wrong}`);
    }
  }
  if (nextOccurrence(schedule, now) === null) throw refuse(`${field}.expression`, "no such date ever comes");
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
    zoneFormat(timezone);
  } catch {
    throw problem;
  }
}

/** The first instant after `after`, or null when none comes within nine years. */
export function nextOccurrence({ expression, timezone }: Schedule, after: Date): Date | null {
  const zone = zoneFormat(timezone);
  const end = after.getTime() + horizon;
  let from = after.getTime();
  let offset = offsetAt(zone, from);
  while (from < end) {
    const wall = nextWallTime(expression, from + offset);
    if (wall === null) return null;
    const candidate = wall - offset;
    // Until the clocks change, the next match is a matter of one offset.
    const change = nextChange(zone, from, Math.min(candidate, end), offset);
    if (change === null) return candidate <= end ? new Date(candidate) : null;
    from = change.at - 1;
    offset = change.offset;
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

/** The first match after `wall`, both milliseconds of a clock that is never changed. */
function nextWallTime(expression: string, wall: number): number | null {
  try {
    return CronExpressionParser.parse(expression, { tz: "UTC", currentDate: new Date(wall) })
      .next()
      .getTime();
  } catch {
    // The library's word for a date that never comes.
    return null;
  }
}

interface Change {
  /** The first instant of the new offset. */
  readonly at: number;
  readonly offset: number;
}

/** The first change of the clocks after `from` and not after `to`. */
function nextChange(zone: Intl.DateTimeFormat, from: number, to: number, offset: number): Change | null {
  for (let low = from; low < to; low += stride) {
    let high = Math.min(low + stride, to);
    if (offsetAt(zone, high) === offset) continue;
    let before = low;
    while (high - before > 1) {
      const middle = Math.floor((before + high) / 2);
      if (offsetAt(zone, middle) === offset) before = middle;
      else high = middle;
    }
    return { at: high, offset: offsetAt(zone, high) };
  }
  return null;
}

const zoneFormats = new Map<string, Intl.DateTimeFormat>();

/** @throws RangeError for a time zone that the runtime does not know. */
function zoneFormat(timezone: string): Intl.DateTimeFormat {
  const known = zoneFormats.get(timezone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
  // Few names exist, but each is accepted in any case of its letters.
  if (zoneFormats.size >= 1000) zoneFormats.clear();
  zoneFormats.set(timezone, format);
  return format;
}

/** Milliseconds that the zone's clocks are ahead of UTC. */
function offsetAt(zone: Intl.DateTimeFormat, instant: number): number {
  const name = zone.formatToParts(instant).find((part) => part.type === "timeZoneName")?.value ?? "";
  const match = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name);
  if (match === null) throw new Error(`the runtime names an offset ${JSON.stringify(name)}`);
  const [, sign, hours = "0", minutes = "0", seconds = "0"] = match;
  const size = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sign === "-" ? -size : size;
}

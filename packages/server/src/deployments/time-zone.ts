/** Time zones: how far their clocks are ahead of UTC, and when that changes. Pure but for the time zone database. @module */

export interface Change {
  /** The first instant of the new offset. */
  readonly at: number;
  /** Milliseconds that the clocks are ahead of UTC from then on. */
  readonly offset: number;
}

export interface TimeZone {
  /** Milliseconds that the zone's clocks are ahead of UTC. */
  offsetAt(instant: number): number;
  /** The first change of the clocks after `from` and not after `to`. */
  nextChange(from: number, to: number): Change | null;
}

/** No time zone changes its clocks twice within this time. Milliseconds. */
const stride = 7 * 86_400_000;
/** More names than the database has, though each is accepted in any case of its letters. */
const maximumZones = 1000;
const zones = new Map<string, TimeZone>();

/**
 * @example openTimeZone("Europe/Berlin").offsetAt(Date.UTC(2026, 0, 1)) // 3_600_000
 * @throws RangeError for a name that the time zone database does not have
 */
export function openTimeZone(name: string): TimeZone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat("en-US", { timeZone: name, timeZoneName: "longOffset" });
  const offsetAt = (instant: number) => readOffset(format, instant);
  const changesByYear = new Map<number, readonly Change[]>();
  const changesIn = (year: number): readonly Change[] => {
    const changes = changesByYear.get(year) ?? findChanges(offsetAt, Date.UTC(year), Date.UTC(year + 1));
    changesByYear.set(year, changes);
    return changes;
  };
  const zone: TimeZone = {
    offsetAt,
    nextChange(from, to) {
      const last = new Date(to).getUTCFullYear();
      for (let year = new Date(from).getUTCFullYear(); year <= last; year += 1) {
        const change = changesIn(year).find(({ at }) => at > from);
        if (change !== undefined) return change.at <= to ? change : null;
      }
      return null;
    },
  };
  if (zones.size >= maximumZones) zones.clear();
  zones.set(name, zone);
  return zone;
}

/** The changes after `from` and not after `to`. */
function findChanges(offsetAt: (instant: number) => number, from: number, to: number): Change[] {
  const changes: Change[] = [];
  let offset = offsetAt(from);
  for (let low = from; low < to; low += stride) {
    let high = Math.min(low + stride, to);
    const next = offsetAt(high);
    if (next === offset) continue;
    for (let before = low; high - before > 1;) {
      const middle = Math.floor((before + high) / 2);
      if (offsetAt(middle) === offset) before = middle;
      else high = middle;
    }
    offset = next;
    changes.push({ at: high, offset });
  }
  return changes;
}

function readOffset(format: Intl.DateTimeFormat, instant: number): number {
  const name = format.formatToParts(instant).find((part) => part.type === "timeZoneName")?.value ?? "";
  const match = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name);
  if (match === null) throw new Error(`the runtime names an offset ${JSON.stringify(name)}`);
  const [, sign, hours = "0", minutes = "0", seconds = "0"] = match;
  const size = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sign === "-" ? -size : size;
}

/** What to do about a schedule's instants that have come: the policies for missed and overlapping runs. Pure. @module */
import type { MissedRunsPolicy, OverlapPolicy } from "@exoloop/protocol/deployments";
import { lastOccurrences, nextOccurrence, type Schedule } from "./cron.ts";

/** An instant that nobody has taken for longer than this has been missed. Milliseconds. */
export const missedAfter = 60_000;
/** Instants that wait, at most; of more, the latest. */
export const maximumQueued = 100;

export interface ScheduleState {
  /** Null when only what is queued is left. */
  readonly schedule: Schedule | null;
  /** The first instant that nobody has taken. */
  readonly nextRunAt: Date | null;
  /** Oldest first. */
  readonly queued: readonly Date[];
  readonly missedRuns: MissedRunsPolicy;
  readonly overlap: OverlapPolicy;
  /** Whether an earlier run goes on. */
  readonly going: boolean;
}

export interface Plan {
  /** The instant to start a run for; the others wait for it to end. */
  readonly start: Date | null;
  readonly queued: readonly Date[];
  readonly nextRunAt: Date | null;
  /** Passed over; of a long absence only the latest hundred are counted. */
  readonly skipped: readonly Date[];
}

export function planRuns(state: ScheduleState, now: Date): Plan {
  const arrived = readArrived(state, now);
  const waiting = [...state.queued, ...arrived.missed];
  const skipped = [...arrived.skipped];
  for (const instant of arrived.onTime) {
    const overlaps = state.going || waiting.length > 0;
    (overlaps && state.overlap === "skip" ? skipped : waiting).push(instant);
  }
  const start = state.going ? null : (waiting.shift() ?? null);
  const queued = waiting.slice(-maximumQueued);
  skipped.push(...waiting.slice(0, waiting.length - queued.length));
  return { start, queued, nextRunAt: arrived.next, skipped };
}

interface Arrived {
  readonly missed: readonly Date[];
  readonly onTime: readonly Date[];
  readonly skipped: readonly Date[];
  readonly next: Date | null;
}

function readArrived({ schedule, nextRunAt, missedRuns }: ScheduleState, now: Date): Arrived {
  if (schedule === null || nextRunAt === null || nextRunAt > now) {
    return { missed: [], onTime: [], skipped: [], next: nextRunAt };
  }
  const { instants } = lastOccurrences(schedule, nextRunAt, now, maximumQueued);
  const late = instants.filter((instant) => now.getTime() - instant.getTime() > missedAfter);
  const onTime = instants.slice(late.length);
  const next = nextOccurrence(schedule, now);
  if (missedRuns === "run_all") return { missed: late, onTime, skipped: [], next };
  // A run that is on time makes up for those before it.
  const missed = missedRuns === "run_once" && onTime.length === 0 ? late.slice(-1) : [];
  return { missed, onTime, skipped: late.slice(0, late.length - missed.length), next };
}

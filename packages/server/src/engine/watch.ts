/**
 * The regular look at the queue: one small query that finds everything a crash or a broken connection may swallow, as
 * turns ready, wake-ups due, workers that have fallen silent, and periodic work that is due.
 * @module
 */
import type { Logger } from "../telemetry/logger.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Engine } from "./engine.ts";
import type { JobQueue } from "./job-queue.ts";
import type { PeriodicLooks } from "./periodic.ts";

/** All in milliseconds. */
export interface EngineTiming {
  /** Between two looks at the queue: the latency when a hint is lost. */
  readonly look: number;
  /** Between two signs of life of the running turns. */
  readonly beat: number;
  /** Silence after which a turn is given to another worker. A claim's epoch keeps a worker that only stalled harmless. */
  readonly lost: number;
}

/** @param workerTimeoutMilliseconds silence after which a worker is taken for dead */
export function timingOf(workerTimeoutMilliseconds: number): EngineTiming {
  const lost = workerTimeoutMilliseconds;
  return { look: Math.min(1000, lost / 3), beat: lost / 4, lost };
}

interface WatchOptions {
  readonly queue: JobQueue;
  readonly dispatcher: Dispatcher;
  readonly periodic: PeriodicLooks;
  readonly wake: Engine["wake"];
  /** Lets every process fetch. */
  readonly hint: () => void;
  readonly timing: EngineTiming;
  readonly log: Logger;
  /** Leaves the looking to processes that take turns. */
  readonly idle: boolean;
}

export interface Watch {
  /** Takes wake-ups that are due by then without waiting for the regular look. */
  takeWakesIn(milliseconds: number): void;
  stop(): void;
}

export function startWatch(options: WatchOptions): Watch {
  const { dispatcher, timing, log } = options;
  let stopped = options.idle;
  let timer: NodeJS.Timeout | undefined;
  const judge = createJudge(timing);
  const look = async (): Promise<void> => {
    let next = timing.look;
    try {
      // This process, or the whole machine, may have stood still: its own turns show life before any is judged.
      if (judge.stoodStill()) await dispatcher.beat();
      next = await lookOnce(options, judge.lostAfter(), () => stopped);
      judge.looked();
    } catch (error) {
      judge.blind();
      if (!stopped) log.warn({ error }, "the queue could not be looked at");
    }
    if (!stopped) timer = setTimeout(() => void look(), next);
  };
  if (!stopped) void look();
  const beats = setInterval(() => void dispatcher.beat(), timing.beat);
  return {
    takeWakesIn(milliseconds) {
      const take = () =>
        takeDueWakes(options, () => stopped).catch((error: unknown) =>
          log.warn({ error }, "no wake-up could be taken"),
        );
      setTimeout(() => void take(), Math.max(0, milliseconds) + 1).unref();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      clearInterval(beats);
    },
  };
}

/**
 * Whether this process can tell that another is dead. After it was blind itself, because it stood still or the database
 * was away, everybody first has the time to give a sign of life.
 */
function createJudge(timing: EngineTiming) {
  let seeingSince = performance.now();
  let lookedAt = performance.now();
  const stoodStill = () => performance.now() - lookedAt > timing.look + timing.beat;
  return {
    stoodStill,
    lostAfter(): number | null {
      if (stoodStill()) seeingSince = performance.now();
      return performance.now() - seeingSince >= graceOf(timing) ? timing.lost : null;
    },
    looked(): void {
      lookedAt = performance.now();
    },
    blind(): void {
      seeingSince = performance.now();
      lookedAt = performance.now();
    },
  };
}

function graceOf(timing: EngineTiming): number {
  return 1.5 * timing.beat;
}

/** Answers the milliseconds until the next look. */
async function lookOnce(options: WatchOptions, lostAfter: number | null, stopped: () => boolean): Promise<number> {
  const { queue, dispatcher, periodic, timing, log } = options;
  const outlook = await queue.look({
    lostAfter,
    grace: graceOf(timing),
    horizon: timing.look,
    periodic: periodic.names,
  });
  if (stopped()) return timing.look;
  if (outlook.lost.length > 0) {
    log.warn({ turns: outlook.lost.length }, "a worker has fallen silent; its turns are handed out again");
    await queue.handOver(outlook.lost, "the worker has fallen silent");
    options.hint();
  }
  periodic.begin(outlook.periodic);
  const due = outlook.wakeDueIn;
  if (due !== null && due <= 0) await takeDueWakes(options, stopped);
  if (outlook.turnsReady && dispatcher.freeSlots() > 0) await dispatcher.fetch();
  return due !== null && due > 0 ? Math.min(timing.look, due + 1) : timing.look;
}

/** Taken in one go, at most: a look must come back to what else there is to see. */
const wakesAtOnce = 1000;

/** A wake-up only wakes: under the session's row lock, like every wake. */
async function takeDueWakes({ queue, wake }: WatchOptions, stopped: () => boolean): Promise<void> {
  for (let taken = 0; !stopped() && taken < wakesAtOnce; taken += 1) {
    const found = await queue.takeWake(async (sessionId, transaction) => {
      const session = await transaction
        .selectFrom("sessions")
        .select("id")
        .where("id", "=", sessionId)
        .forUpdate()
        .executeTakeFirst();
      if (session !== undefined) await wake(sessionId, transaction);
    });
    if (!found) return;
  }
}

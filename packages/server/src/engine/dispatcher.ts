/**
 * Hands queued turns to `onTurn`, as many at a time as there are slots. One fetch serves any number of hints, and every
 * turn that ends causes one: its session may have been woken meanwhile, and was held back while the turn ran.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import { TurnRefusedError } from "./engine.ts";
import type { JobQueue, TurnJob } from "./job-queue.ts";

type TurnQueue = Pick<JobQueue, "fetchTurns" | "complete" | "giveBack" | "handOver" | "beat">;
export type OnTurn = (turn: { readonly sessionId: string }) => Promise<void>;

export interface Dispatcher {
  /** Fetches turns into the free slots. Never rejects; without a free slot it does nothing. */
  fetch(): Promise<void>;
  freeSlots(): number;
  /** Tells the queue that the running turns are being worked on. Never rejects. */
  beat(): Promise<void>;
  /** Takes no more turns, waits up to `graceMs` for the running ones, and gives back those that have not ended. */
  drain(graceMs: number): Promise<void>;
}

export function createDispatcher(
  queue: TurnQueue,
  onTurn: OnTurn,
  options: { readonly concurrency: number; readonly log: Logger },
): Dispatcher {
  const { concurrency, log } = options;
  // By attempt: a process that stalled may be handed the turn that it still runs.
  const running = new Map<string, { readonly job: TurnJob; readonly ended: Promise<void> }>();
  let draining = false;
  const freeSlots = () => (draining ? 0 : concurrency - running.size);
  const fetch = singleFlight(
    async () => {
      for (let slots = freeSlots(), full = true; full && slots > 0; slots = freeSlots()) {
        const jobs = await queue.fetchTurns(slots);
        for (const job of jobs) begin(job);
        full = jobs.length === slots;
      }
    },
    // The database is away; the next look finds what is queued.
    (error) => log.warn({ error }, "turns could not be fetched"),
  );
  const begin = (job: TurnJob): void => {
    const attempt = `${job.id}:${job.retryCount}`;
    const ended = runTurn(queue, job, onTurn, log).finally(() => {
      running.delete(attempt);
      void fetch();
    });
    running.set(attempt, { job, ended });
  };
  return {
    fetch,
    freeSlots,
    async beat() {
      try {
        await queue.beat([...running.values()].map(({ job }) => job));
      } catch (error) {
        log.warn({ error }, "signs of life could not be recorded");
      }
    },
    async drain(graceMs) {
      draining = true;
      // A fetch on its way may still bring turns; they are begun, and waited for.
      await fetch();
      const cancel = new AbortController();
      const grace = sleep(graceMs, undefined, { signal: cancel.signal }).catch(() => undefined);
      await Promise.race([Promise.all([...running.values()].map(({ ended }) => ended)), grace]);
      cancel.abort();
      const unfinished = [...running.values()].map(({ job }) => job);
      await settle(() => queue.handOver(unfinished, "the worker stops"), log);
    },
  };
}

/** Never rejects. */
async function runTurn(queue: TurnQueue, job: TurnJob, onTurn: OnTurn, log: Logger): Promise<void> {
  const { sessionId } = job.data;
  try {
    await onTurn({ sessionId });
  } catch (error) {
    if (error instanceof TurnRefusedError) log.info({ session: sessionId, reason: error.message }, "turn refused");
    else log.error({ error, session: sessionId }, "a turn failed and will be handed out again");
    await settle(() => queue.giveBack([job], "the turn failed"), log);
    return;
  }
  await settle(() => queue.complete(job), log);
}

/** A turn that cannot be settled is handed out again once its signs of life have stopped: nothing is lost. */
async function settle(attempt: () => Promise<void>, log: Logger): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    log.warn({ error }, "the end of a turn could not be recorded");
  }
}

/**
 * Runs `work` once at a time: calls during a run are answered by one more run after it, whose end they await.
 */
function singleFlight(work: () => Promise<void>, onError: (error: unknown) => void): () => Promise<void> {
  let current: Promise<void> | undefined;
  let askedAgain = false;
  const runAll = async (): Promise<void> => {
    do {
      askedAgain = false;
      try {
        await work();
      } catch (error) {
        onError(error);
      }
    } while (askedAgain);
    // In the same step as the last look at `askedAgain`: no call falls in between.
    current = undefined;
  };
  return () => {
    askedAgain = true;
    current ??= runAll();
    return current;
  };
}

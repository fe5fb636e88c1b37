/**
 * Hands queued turns to `onTurn`, as many at a time as there are slots. One fetch serves any number of hints, and every
 * turn that ends causes one: its session may have been woken meanwhile, and was held back while the turn ran.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import type { JobQueue, TurnJob } from "./job-queue.ts";

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
  queue: Pick<JobQueue, "fetchTurns" | "complete" | "giveBack" | "beat">,
  onTurn: OnTurn,
  options: { readonly concurrency: number; readonly log: Logger },
): Dispatcher {
  const { concurrency, log } = options;
  const running = new Map<string, { readonly job: TurnJob; readonly ended: Promise<void> }>();
  let fetching: Promise<void> | undefined;
  let askedAgain = false;
  let draining = false;
  /** Slots that a fetch on its way may fill. */
  const freeSlots = () => (draining ? 0 : concurrency - running.size);

  const fetchAll = async (): Promise<void> => {
    let full: boolean;
    do {
      askedAgain = false;
      const slots = freeSlots();
      if (slots <= 0) return;
      const jobs = await queue.fetchTurns(slots);
      for (const job of jobs) begin(job);
      full = jobs.length === slots;
    } while (askedAgain || full);
  };
  const fetch = (): Promise<void> => {
    askedAgain = true;
    fetching ??= fetchAll()
      // The database is away; the next look finds what is queued.
      .catch((error: unknown) => log.warn({ error }, "turns could not be fetched"))
      .finally(() => {
        fetching = undefined;
        // Asked for in the instant between the last fetch and here.
        if (askedAgain) void fetch();
      });
    return fetching;
  };
  const begin = (job: TurnJob): void => {
    const ended = run(job).finally(() => {
      running.delete(job.id);
      void fetch();
    });
    running.set(job.id, { job, ended });
  };
  const run = async (job: TurnJob): Promise<void> => {
    const { sessionId } = job.data;
    try {
      await onTurn({ sessionId });
    } catch (error) {
      log.error({ error, session: sessionId }, "a turn failed and will be handed out again");
      await settle(() => queue.giveBack([job], "the turn failed"), sessionId);
      return;
    }
    await settle(() => queue.complete(job), sessionId);
  };
  /** A turn that could not be settled is handed out again once its signs of life have stopped: nothing is lost. */
  const settle = async (attempt: () => Promise<void>, sessionId: string): Promise<void> => {
    try {
      await attempt();
    } catch (error) {
      if (!draining) log.warn({ error, session: sessionId }, "the end of a turn could not be recorded");
    }
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
      await fetching;
      const cancel = new AbortController();
      const grace = sleep(graceMs, undefined, { signal: cancel.signal }).catch(() => undefined);
      await Promise.race([Promise.all([...running.values()].map(({ ended }) => ended)), grace]);
      cancel.abort();
      const unfinished = [...running.values()].map(({ job }) => job);
      await settle(() => queue.giveBack(unfinished, "the worker stops"), "");
    },
  };
}

/**
 * Work that is done again and again by one worker at a time. A row says when it is due; the engine's regular look at its
 * queue finds the due ones, so that waiting costs no query. Whoever moves the row's instant forward has the work, and
 * keeps moving it while the work runs: where that stops, the instant comes, and another worker takes over.
 * @module
 */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Database } from "../db/database.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { PeriodicWork } from "./engine.ts";

export interface PeriodicLooks {
  add(name: string, milliseconds: number, work: PeriodicWork): void;
  /** Of everything that was added. */
  readonly names: readonly string[];
  /** Makes the rows that are missing. */
  prepare(): Promise<void>;
  /** Begins what is due and not yet running here; does not wait for it, and never rejects. */
  begin(due: readonly string[]): void;
  /** Tells what runs to stop, and waits for it up to `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

interface Entry {
  readonly name: string;
  readonly milliseconds: number;
  readonly work: PeriodicWork;
}

/** @param leaseMilliseconds after which work whose worker has fallen silent is due again */
export function createPeriodicLooks(options: {
  readonly database: Database;
  readonly leaseMilliseconds: number;
  readonly log: Logger;
}): PeriodicLooks {
  const { database, log } = options;
  const entries = new Map<string, Entry>();
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  const run = async (entry: Entry): Promise<void> => {
    const { name } = entry;
    try {
      await runOnce(entry, options, stopping.signal);
    } catch (error) {
      log.warn({ error, work: name }, "periodic work could not be taken or ended");
    } finally {
      running.delete(name);
    }
  };
  return {
    add(name, milliseconds, work) {
      if (entries.has(name)) throw new Error(`the periodic work ${name} has been added before`);
      entries.set(name, { name, milliseconds, work });
    },
    get names() {
      return [...entries.keys()];
    },
    async prepare() {
      if (entries.size === 0) return;
      const rows = [...entries.keys()].map((name) => ({ name, holder: null }));
      await database
        .insertInto("periodic_looks")
        .values(rows)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    begin(due) {
      for (const name of due) {
        const entry = entries.get(name);
        if (entry !== undefined && !running.has(name) && !stopping.signal.aborted) running.set(name, run(entry));
      }
    },
    async stop(graceMs) {
      stopping.abort();
      const grace = new Promise((resolve) => setTimeout(resolve, graceMs).unref());
      await Promise.race([Promise.all(running.values()), grace]);
    },
  };
}

/** Takes the work, does it and sets its next instant; nothing when another worker was quicker. */
async function runOnce(
  { name, milliseconds, work }: Entry,
  options: { readonly database: Database; readonly leaseMilliseconds: number; readonly log: Logger },
  stopping: AbortSignal,
): Promise<void> {
  const { database, leaseMilliseconds, log } = options;
  const holder = randomUUID();
  const startedAt = performance.now();
  const { numUpdatedRows } = await database
    .updateTable("periodic_looks")
    .set({ due_at: fromNow(leaseMilliseconds), holder })
    .where("name", "=", name)
    .where("due_at", "<=", sql<Date>`now()`)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return;
  /** False when another worker has taken the work. */
  const postpone = async (delay: number, next: string | null): Promise<boolean> => {
    const result = await database
      .updateTable("periodic_looks")
      .set({ due_at: fromNow(delay), holder: next })
      .where("name", "=", name)
      .where("holder", "=", holder)
      .executeTakeFirst();
    return result.numUpdatedRows > 0n;
  };
  const lost = new AbortController();
  const renewal = setInterval(() => {
    postpone(leaseMilliseconds, holder)
      .then((kept) => (kept ? undefined : lost.abort()))
      // The database is away: whether the work is still ours, the next renewal tells.
      .catch((error: unknown) => log.debug({ error, work: name }, "the lease of periodic work could not be renewed"));
  }, leaseMilliseconds / 3);
  try {
    await work(AbortSignal.any([stopping, lost.signal]));
  } catch (error) {
    log.warn({ error, work: name }, "periodic work failed and is due again after its interval");
  } finally {
    clearInterval(renewal);
    await postpone(Math.max(0, milliseconds - (performance.now() - startedAt)), null);
  }
}

function fromNow(milliseconds: number) {
  return sql<Date>`now() + ${milliseconds}::float8 * interval '1 millisecond'`;
}

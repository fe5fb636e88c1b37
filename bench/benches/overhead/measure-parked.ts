/** What 10,000 sessions cost that wait: memory of the workers, transactions, and how long one takes to wake. @module */
import type { Database } from "@exoloop/server/db/database";
import { createPgBossEngine } from "@exoloop/server/engine/pg-boss-engine";
import { createLogger } from "@exoloop/server/telemetry/logger";
import type { Memory, Worker } from "./child.ts";
import type { Contender, ContenderOptions } from "./contender.ts";
import { measureIdle, measureWakes, withWorkers } from "./measure.ts";
import { createSessions, untilIdle } from "./sessions.ts";

export interface ParkedFigures {
  /** Bytes for each parked session, all workers together: what they hold after garbage was collected. */
  readonly heap: number;
  readonly resident: number;
  readonly transactionsPerSecond: number;
  readonly wakes: readonly number[];
}

const atOnce = 200;

/** Two workers drive every session until it waits; one in ten waits for an instant, and so has a wake-up in the queue. */
export async function measureParked(
  contender: Contender,
  options: ContenderOptions,
  parked: number,
  progress: (text: string) => void,
): Promise<ParkedFigures> {
  const { database } = options;
  return withWorkers(contender, 2, 16, async (workers) => {
    await park(contender, database, 1000);
    const before = await memoryOf(workers);
    const ids = await park(contender, database, parked);
    await wakeLater(
      options,
      ids.filter((_, index) => index % 10 === 0),
    );
    const after = await memoryOf(workers);
    progress("  nothing happens, for 42 s");
    const transactionsPerSecond = await measureIdle(database, 30);
    const step = Math.max(1, Math.floor(ids.length / 100));
    const wakes = await measureWakes(contender, database, ids.filter((_, index) => index % step === 0).slice(0, 100));
    return {
      heap: (after.heap - before.heap) / parked,
      resident: (after.resident - before.resident) / parked,
      transactionsPerSecond,
      wakes,
    };
  });
}

/** Each has had a turn, and is idle. */
async function park(contender: Contender, database: Database, count: number): Promise<readonly string[]> {
  const ids = await createSessions(database, count);
  for (let start = 0; start < ids.length; start += atOnce) {
    const some = ids.slice(start, start + atOnce);
    await Promise.all(some.map((id) => contender.send(id, "0")));
    await untilIdle(database, some);
  }
  return ids;
}

async function wakeLater({ url, database }: ContenderOptions, ids: readonly string[]): Promise<void> {
  const log = createLogger("error");
  const engine = createPgBossEngine({ connectionString: url, database, concurrency: 0, log });
  await engine.start(() => Promise.resolve());
  const inAnHour = new Date(Date.now() + 3_600_000);
  for (const id of ids) await database.transaction().execute((transaction) => engine.wakeAt(id, inAnHour, transaction));
  await engine.stop(0);
}

async function memoryOf(workers: readonly Worker[]): Promise<Memory> {
  const memories = await Promise.all(workers.map((worker) => worker.memory()));
  return {
    heap: memories.reduce((sum, memory) => sum + memory.heap, 0),
    resident: memories.reduce((sum, memory) => sum + memory.resident, 0),
  };
}

/**
 * What the loop and its engine cost when model and tool cost nothing, beside bare DBOS and a bare own queue that write
 * the same rows.
 * @module
 */
import { join } from "node:path";
import { openDatabase } from "@exoloop/server/db/database";
import { startEmbeddedPostgres, stopEmbeddedPostgres } from "@exoloop/server/db/embedded/supervisor";
import { migrate } from "@exoloop/server/db/migrate";
import { createLogger } from "@exoloop/server/telemetry/logger";
import type { Bench, BenchContext, Row } from "../bench.ts";
import { percentile, toRow } from "../statistics.ts";
import { type Contender, type ContenderOptions, workerTimeoutMs } from "./overhead/contender.ts";
import { createDbos } from "./overhead/dbos.ts";
import { createExoloop } from "./overhead/exoloop.ts";
import {
  measureIdle,
  measureRecovery,
  measureStep,
  measureThroughput,
  measureWakes,
  withWorkers,
} from "./overhead/measure.ts";
import { measureParked } from "./overhead/measure-parked.ts";
import { createOwnQueue } from "./overhead/own-queue-contender.ts";
import { createSessions } from "./overhead/sessions.ts";

interface Figures {
  readonly step: readonly number[];
  readonly throughput: readonly number[];
  readonly wakes: readonly number[];
  readonly idle: number;
  readonly recovery: readonly number[];
}

async function run(context: BenchContext): Promise<Row[]> {
  const { progress } = context;
  const parkedCount = context.option("parked");
  const ours = await withContender(context, "exoloop", createExoloop, async (contender, options) => {
    const speed = await measureSpeed(contender, options, progress);
    progress(`  ${parkedCount} parked sessions`);
    const parked = await measureParked(contender, options, parkedCount, progress);
    return { ...speed, parked };
  });
  const dbos = await withContender(context, "dbos", createDbos, measureAll);
  const own = await withContender(context, "own queue", createOwnQueue, measureAll);
  return [...rowsOfSteps(ours, dbos, own), ...rowsOfParked(ours.parked), ...rowsOfEngines(ours, dbos, own)];

  async function measureAll(contender: Contender, options: ContenderOptions): Promise<Figures> {
    const speed = await measureSpeed(contender, options, progress);
    progress("  waking and waiting, for a minute");
    return withWorkers(contender, 2, 16, async () => {
      const ids = await createSessions(options.database, 100);
      const wakes = await measureWakes(contender, options.database, ids);
      return { ...speed, wakes, idle: await measureIdle(options.database, 20) };
    });
  }
}

type Speed = Pick<Figures, "step" | "throughput" | "recovery">;

async function measureSpeed(
  contender: Contender,
  { database }: ContenderOptions,
  progress: (text: string) => void,
): Promise<Speed> {
  progress("  one session at a time");
  const step = await measureStep(contender, database, 12);
  progress(`    p50 ${percentile(step, 0.5).toFixed(2)} ms`);
  progress("  100 sessions on one worker, 4 times");
  const throughput = await measureThroughput(contender, database, 3);
  progress(`    p50 ${percentile(throughput, 0.5).toFixed(0)} steps per second`);
  progress("  5 workers die");
  const recovery = await measureRecovery(contender, database, 5);
  progress(`    p50 ${percentile(recovery, 0.5).toFixed(0)} ms until another goes on`);
  return { step, throughput, recovery };
}

/** Each has an embedded Postgres of its own: nobody is measured with what another has left behind. */
async function withContender<Result>(
  { directory, progress }: BenchContext,
  name: string,
  create: (options: ContenderOptions) => Promise<Contender>,
  work: (contender: Contender, options: ContenderOptions) => Promise<Result>,
): Promise<Result> {
  progress(name);
  const home = join(directory, name.replace(" ", "-"));
  const { url } = await startEmbeddedPostgres({ directory: home, log: createLogger("error") });
  try {
    await migrate(url);
    const database = await openDatabase(url, { maximumConnections: 10, applicationName: "exoloop bench" });
    const contender = await create({ url, database });
    try {
      return await work(contender, { url, database });
    } finally {
      await contender.close();
      await database.destroy();
    }
  } finally {
    await stopEmbeddedPostgres({ directory: home });
  }
}

function rowsOfSteps(ours: Speed, dbos: Speed, own: Speed): Row[] {
  const throughput = { unit: "1/s", higherIsBetter: true };
  return [
    toRow(ours.step, { id: "step", unit: "ms", goal: 5, peer: dbos.step }),
    toRow(ours.step, { id: "step_beside_own_queue", unit: "ms", goal: null, peer: own.step }),
    toRow(dbos.step, { id: "bare_engine_step", unit: "ms", goal: null }),
    toRow(own.step, { id: "bare_queue_step", unit: "ms", goal: null }),
    toRow(ours.throughput, { id: "steps_per_second", goal: 600, peer: dbos.throughput, ...throughput }),
    toRow(ours.throughput, {
      id: "steps_per_second_beside_own_queue",
      goal: null,
      peer: own.throughput,
      ...throughput,
    }),
    toRow(dbos.throughput, { id: "steps_per_second_dbos", goal: null, ...throughput }),
    toRow(own.throughput, { id: "steps_per_second_own_queue", goal: null, ...throughput }),
  ];
}

function rowsOfParked(parked: Awaited<ReturnType<typeof measureParked>>): Row[] {
  return [
    toRow([parked.heap], { id: "parked_bytes", unit: "B", goal: 1024 }),
    toRow([parked.resident], { id: "parked_resident_bytes", unit: "B", goal: null }),
    toRow([parked.transactionsPerSecond], { id: "parked_tx_per_second", unit: "1/s", goal: 5 }),
    toRow(parked.wakes, { id: "wake", unit: "ms", goal: 150 }),
  ];
}

function rowsOfEngines(ours: Speed, dbos: Figures, own: Figures): Row[] {
  const recovery = { unit: "ms", goal: null };
  return [
    toRow(dbos.wakes, { id: "wake_dbos", unit: "ms", goal: null }),
    toRow(own.wakes, { id: "wake_own_queue", unit: "ms", goal: null }),
    toRow([dbos.idle], { id: "tx_per_second_dbos", unit: "1/s", goal: null }),
    toRow([own.idle], { id: "tx_per_second_own_queue", unit: "1/s", goal: null }),
    toRow(ours.recovery, { id: "recovery", unit: "ms", goal: workerTimeoutMs + 1000, peer: dbos.recovery }),
    toRow(dbos.recovery, { id: "recovery_dbos", ...recovery }),
    toRow(own.recovery, { id: "recovery_own_queue", ...recovery }),
  ];
}

export const bench: Bench = {
  name: "overhead",
  description: "steps, wakes, parked sessions and recovery, beside DBOS and a bare queue",
  options: [{ name: "parked", description: "sessions that wait", default: 10_000 }],
  run,
};

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
  readonly recovery: readonly number[];
}

interface PeerFigures extends Figures {
  readonly wakes: readonly number[];
  readonly idle: number;
}

interface Field {
  readonly contender: Contender;
  readonly options: ContenderOptions;
}

/** In turns, so that what else the machine does meets all of them alike. */
const laps = 3;

async function run(context: BenchContext): Promise<Row[]> {
  const parkedCount = context.option("parked");
  const { progress } = context;
  return withContender(context, "exoloop", createExoloop, (ours) =>
    withContender(context, "dbos", createDbos, (dbos) =>
      withContender(context, "own-queue", createOwnQueue, async (own) => {
        const speeds = await measureSpeeds([ours, dbos, own], progress);
        progress(`exoloop: ${parkedCount} parked sessions`);
        const parked = await measureParked(ours.contender, ours.options, parkedCount, progress);
        const dbosFigures = { ...speeds.figuresOf(dbos), ...(await measureWaiting(dbos, progress)) };
        const ownFigures = { ...speeds.figuresOf(own), ...(await measureWaiting(own, progress)) };
        const figures = speeds.figuresOf(ours);
        return [
          ...rowsOfSteps(figures, dbosFigures, ownFigures),
          ...rowsOfParked(parked),
          ...rowsOfEngines(figures, dbosFigures, ownFigures),
        ];
      }),
    ),
  );
}

async function measureSpeeds(fields: readonly Field[], progress: (text: string) => void) {
  const figures = new Map(
    fields.map((field) => [field, { step: [] as number[], throughput: [] as number[], recovery: [] as number[] }]),
  );
  for (let lap = 1; lap <= laps; lap += 1) {
    for (const [{ contender, options }, { step, throughput, recovery }] of figures) {
      progress(`lap ${lap} of ${laps}: ${contender.name}`);
      step.push(...(await measureStep(contender, options.database, 5)));
      throughput.push(...(await measureThroughput(contender, options.database, 1)));
      recovery.push(...(await measureRecovery(contender, options.database, 2)));
      const [ms, perSecond, silence] = [step, throughput, recovery].map((samples) => percentile(samples, 0.5));
      progress(
        `  p50 so far: ${ms?.toFixed(2)} ms, ${perSecond?.toFixed(0)} steps/s, recovery ${silence?.toFixed(0)} ms`,
      );
    }
  }
  return {
    figuresOf(field: Field): Figures {
      const found = figures.get(field);
      if (found === undefined) throw new Error("this one was not measured");
      return found;
    },
  };
}

async function measureWaiting(
  { contender, options }: Field,
  progress: (text: string) => void,
): Promise<Pick<PeerFigures, "wakes" | "idle">> {
  progress(`${contender.name}: wakes, and 32 s in which nothing happens`);
  return withWorkers(contender, 2, 16, async () => {
    const ids = await createSessions(options.database, 100);
    const wakes = await measureWakes(contender, options.database, ids);
    return { wakes, idle: await measureIdle(options.database, 20) };
  });
}

/** Each has an embedded Postgres of its own: nobody is measured with what another has left behind. */
async function withContender<Result>(
  { directory }: BenchContext,
  name: string,
  create: (options: ContenderOptions) => Promise<Contender>,
  work: (field: Field) => Promise<Result>,
): Promise<Result> {
  const home = join(directory, name);
  const { url } = await startEmbeddedPostgres({ directory: home, log: createLogger("error") });
  try {
    await migrate(url);
    const database = await openDatabase(url, { maximumConnections: 10, applicationName: "exoloop bench" });
    const options = { url, database };
    const contender = await create(options);
    try {
      return await work({ contender, options });
    } finally {
      await contender.close();
      await database.destroy();
    }
  } finally {
    await stopEmbeddedPostgres({ directory: home });
  }
}

function rowsOfSteps(ours: Figures, dbos: Figures, own: Figures): Row[] {
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

function rowsOfEngines(ours: Figures, dbos: PeerFigures, own: PeerFigures): Row[] {
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

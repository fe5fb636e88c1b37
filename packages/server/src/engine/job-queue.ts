/**
 * What the engine asks of pg-boss (https://pgboss.io): two queues in a schema of its own.
 *
 * `turns` has the policy `stately`, keyed by session: at most one job of a session is queued and at most one is active,
 * both enforced by a unique index. `wakes` holds wake-ups of later instants; a delayed job in `turns` would swallow every
 * wake before it. pg-boss would poll with each worker and NOTIFY inside the caller's transaction; so turns are fetched by
 * our own dispatcher, and hints are sent after the commit.
 * @module
 */
import { CompiledQuery, type Kysely, sql, type Transaction } from "kysely";
import { type Db, type Job, PgBoss } from "pg-boss";
import type { Database } from "../db/database.ts";
import type { Tables } from "../db/tables.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface TurnData {
  readonly sessionId: string;
}
export type TurnJob = Job<TurnData>;

/** What is to do, as one cheap query sees it. */
export interface Outlook {
  readonly turnsReady: boolean;
  /** Milliseconds until the next wake-up is due, negative when one is; null when none is within the horizon. */
  readonly wakeDueIn: number | null;
  /** Active turns whose worker has stopped giving signs of life. */
  readonly lost: readonly { readonly id: string; readonly retryCount: number }[];
}

const schema = "exoloop_jobs";
const turns = "turns";
const wakes = "wakes";
const hour = 3600;

/** A failed turn is tried again for days, a little later each time; a poisonous one must not spin. */
const persistent = { retryLimit: 10_000, retryDelay: 1, retryBackoff: true, retryDelayMax: 30 };
const small = { deleteAfterSeconds: 60, retentionSeconds: 365 * 24 * hour, expireInSeconds: 24 * hour };

export type JobQueue = ReturnType<typeof createJobQueue>;

export function createJobQueue(options: {
  readonly connectionString: string;
  readonly database: Database;
  readonly log: Logger;
}) {
  const { database } = options;
  const boss = createBoss(options);
  return {
    /** Creates schema and queues when they are missing; safe in several processes at once. */
    async start(): Promise<void> {
      await boss.start();
      await boss.createQueue(turns, { policy: "stately", ...persistent, ...small });
      await boss.createQueue(wakes, { policy: "standard", ...persistent, ...small });
    },
    stop: () => boss.stop({ graceful: false, close: true }),
    /** A no-op when the session has a turn queued. */
    async sendTurn(sessionId: string, transaction: Transaction<Tables>): Promise<void> {
      await boss.send(turns, { sessionId }, { singletonKey: sessionId, db: bossDatabase(transaction) });
    },
    async sendWake(sessionId: string, at: Date, transaction: Transaction<Tables>): Promise<void> {
      // Seconds from now, not an instant: the database's clock may differ from the one that `at` was read from.
      const startAfter = Math.max(0, Math.ceil(at.getTime() - Date.now())) / 1000;
      await boss.send(wakes, { sessionId }, { startAfter, db: bossDatabase(transaction) });
    },
    fetchTurns: (count: number): Promise<TurnJob[]> => boss.fetch<TurnData>(turns, { batchSize: count }),
    /**
     * Takes one due wake-up and gives its session to `wake`, all in one transaction: a crash leaves it due. False when
     * none is due.
     */
    takeWake: (wake: (sessionId: string, transaction: Transaction<Tables>) => Promise<void>): Promise<boolean> =>
      database.transaction().execute(async (transaction) => {
        const db = bossDatabase(transaction);
        const [job] = await boss.fetch<TurnData>(wakes, { batchSize: 1, db });
        if (job === undefined) return false;
        await wake(job.data.sessionId, transaction);
        await boss.complete(wakes, job.id, null, { db });
        return true;
      }),
    /** Settling and beating are limited to the attempt that was fetched: a worker that was given up changes nothing. */
    async complete(job: TurnJob): Promise<void> {
      await boss.complete(turns, job);
    },
    /** Hands turns to whoever fetches next, after a delay. */
    async giveBack(
      jobs: readonly { readonly id: string; readonly retryCount: number }[],
      reason: string,
    ): Promise<void> {
      if (jobs.length > 0) await boss.fail(turns, [...jobs], { reason });
    },
    /** Tells that these turns are still being worked on. */
    async beat(jobs: readonly TurnJob[]): Promise<void> {
      if (jobs.length > 0) await boss.touch(turns, [...jobs]);
    },
    look: (lostAfterMilliseconds: number, horizonMilliseconds: number): Promise<Outlook> =>
      look(database, lostAfterMilliseconds, horizonMilliseconds),
  };
}

function createBoss({ connectionString, log }: { readonly connectionString: string; readonly log: Logger }): PgBoss {
  const boss = new PgBoss({
    connectionString,
    schema,
    max: 4,
    application_name: "exoloop jobs",
    schedule: false,
    registerInstance: false,
    superviseIntervalSeconds: 60,
    monitorIntervalSeconds: 60,
    maintenanceIntervalSeconds: 300,
    queueCacheIntervalSeconds: hour,
    flowIntervalSeconds: hour,
    bamIntervalSeconds: hour,
  });
  boss.on("error", (error) => log.warn({ error }, "the job queue met an error"));
  boss.on("warning", (warning) => log.debug({ warning }, "the job queue warns"));
  return boss;
}

/** Lets pg-boss run its statements inside a transaction of ours. */
function bossDatabase(transaction: Kysely<Tables>): Db {
  return {
    async executeSql(text, values = []) {
      const { rows } = await transaction.executeQuery(CompiledQuery.raw(text, values));
      return { rows };
    },
  };
}

async function look(database: Database, lostAfterMilliseconds: number, horizonMilliseconds: number): Promise<Outlook> {
  const jobs = sql.table(`${schema}.job`);
  const { rows } = await sql<{ ready: boolean; due: number | null; lost: { id: string; retryCount: number }[] }>`
    select
      exists (
        select from ${jobs} where name = ${turns} and state < 'active' and start_after <= now()
      ) as ready,
      (
        select (extract(epoch from min(start_after) - now()) * 1000)::float8
        from ${jobs} where name = ${wakes} and state < 'active'
          and start_after <= now() + ${horizonMilliseconds}::float8 * interval '1 millisecond'
      ) as due,
      (
        select coalesce(json_agg(json_build_object('id', id, 'retryCount', retry_count)), '[]')
        from (
          select id, retry_count from ${jobs} where name = ${turns} and state = 'active'
            and heartbeat_on < now() - ${lostAfterMilliseconds}::float8 * interval '1 millisecond'
          limit 100
        ) silent
      ) as lost`.execute(database);
  const row = rows[0];
  return { turnsReady: row?.ready ?? false, wakeDueIn: row?.due ?? null, lost: row?.lost ?? [] };
}

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
  readonly lost: readonly TurnAttempt[];
  /** Periodic work that is due. */
  readonly periodic: readonly string[];
}

/** One handing-out of a turn: what is told of an earlier one changes nothing. */
export interface TurnAttempt {
  readonly id: string;
  readonly retryCount: number;
}

const schema = "exoloop_jobs";
const jobTable = sql.table(`${schema}.job`);
const turns = "turns";
const wakes = "wakes";
const hour = 3600;

/** A failed turn is tried again for days, a little later each time; a poisonous one must not spin. */
const persistent = { retryLimit: 10_000, retryDelay: 1, retryBackoff: true, retryDelayMax: 30 };
/** So often in a row a turn may lose its worker before it waits: perhaps it is the turn that kills them. */
const losesWithoutDelay = 5;
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
    /** Hands a turn that failed to whoever fetches next, after a delay that grows each time. */
    async giveBack(jobs: readonly TurnAttempt[], reason: string): Promise<void> {
      if (jobs.length > 0) await boss.fail(turns, [...jobs], { reason });
    },
    /** Hands turns that have lost their worker to whoever fetches next, at once. */
    handOver: (jobs: readonly TurnAttempt[], reason: string): Promise<void> =>
      jobs.length === 0 ? Promise.resolve() : handOver(boss, database, jobs, reason),
    /** Tells that these turns are still being worked on. */
    async beat(jobs: readonly TurnJob[]): Promise<void> {
      if (jobs.length > 0) await boss.touch(turns, [...jobs]);
    },
    look: (query: LookQuery): Promise<Outlook> => look(database, query),
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

/** Both statements in one transaction: a crash between them would leave the delay of a turn that failed. */
function handOver(boss: PgBoss, database: Database, jobs: readonly TurnAttempt[], reason: string): Promise<void> {
  return database.transaction().execute(async (transaction) => {
    const lost = await sql<{ key: string }>`
      select singleton_key as key from ${jobTable}
      where name = ${turns} and id = any(${jobs.map((job) => job.id)}::uuid[])`.execute(transaction);
    await boss.fail(turns, [...jobs], { reason }, { db: bossDatabase(transaction) });
    // By session: where an earlier turn of it waits for its next attempt, the lost one has been joined to that.
    await sql`
      update ${jobTable} set start_after = now()
      where name = ${turns} and singleton_key = any(${lost.rows.map((row) => row.key)}::text[]) and state = 'retry'
        and retry_count < ${losesWithoutDelay}`.execute(transaction);
  });
}

interface LookQuery {
  /** Silence of a turn's worker, in milliseconds. Null: nobody is to be judged now. */
  readonly lostAfter: number | null;
  /** No turn is lost while the database runs for less than this, in milliseconds: nobody could give signs of life. */
  readonly grace: number;
  /** How far ahead wake-ups are told, in milliseconds. */
  readonly horizon: number;
  /** The periodic work that can be done here. */
  readonly periodic: readonly string[];
}

async function look(database: Database, query: LookQuery): Promise<Outlook> {
  const milliseconds = (value: number) => sql`${value}::float8 * interval '1 millisecond'`;
  const { rows } = await sql<{ ready: boolean; due: number | null; lost: TurnAttempt[]; periodic: string[] }>`
    select
      exists (
        select from ${jobTable} where name = ${turns} and state < 'active' and not blocked and start_after <= now()
      ) as ready,
      (
        select (extract(epoch from min(start_after) - now()) * 1000)::float8
        from ${jobTable} where name = ${wakes} and state < 'active' and not blocked
          and start_after <= now() + ${milliseconds(query.horizon)}
      ) as due,
      (
        select coalesce(json_agg(json_build_object('id', id, 'retryCount', retry_count)), '[]')
        from (
          select id, retry_count from ${jobTable}
          where name = ${turns} and state = 'active' and policy = 'stately'
            and heartbeat_on < now() - ${milliseconds(query.lostAfter ?? 0)}
            and pg_postmaster_start_time() < now() - ${milliseconds(query.grace)}
            and ${query.lostAfter !== null}
          limit 1000
        ) silent
      ) as lost,
      array(
        select name from periodic_looks where name = any(${query.periodic}::text[]) and due_at <= now()
      ) as periodic`.execute(database);
  const row = rows[0];
  return {
    turnsReady: row?.ready ?? false,
    wakeDueIn: row?.due ?? null,
    lost: row?.lost ?? [],
    periodic: row?.periodic ?? [],
  };
}

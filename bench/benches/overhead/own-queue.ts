/**
 * The barest engine that could do: one table of sessions to be woken, claimed with SKIP LOCKED, with signs of life and a
 * hint by NOTIFY. It promises what the engine port promises, and nothing that a library has besides: no schedules, no
 * retention, no statistics, one database only.
 * @module
 */
import type { Database } from "@exoloop/server/db/database";
import { openNotifyChannel } from "@exoloop/server/db/notify-channel";
import type { Tables } from "@exoloop/server/db/tables";
import type { Logger } from "@exoloop/server/telemetry/logger";
import { sql, type Transaction } from "kysely";

/** Safe in several processes at once. */
export async function prepareOwnQueue(database: Database): Promise<void> {
  await sql`
    create table if not exists own_queue (
      session_id text primary key,
      -- Wanted again while a turn runs: one more turn after it.
      wanted boolean not null,
      run_at timestamptz not null,
      failures integer not null default 0,
      -- Of the worker that has the turn.
      holder text,
      beat_at timestamptz
    )`.execute(database);
  await sql`create index if not exists own_queue_ready on own_queue (run_at) where wanted and holder is null`.execute(
    database,
  );
  await sql`create index if not exists own_queue_held on own_queue (beat_at) where holder is not null`.execute(
    database,
  );
}

/** In the caller's transaction, under the session's row lock. */
export async function wakeOwnQueue(transaction: Transaction<Tables>, sessionId: string): Promise<void> {
  await sql`
    insert into own_queue (session_id, wanted, run_at) values (${sessionId}, true, now())
    on conflict (session_id) do update set wanted = true, run_at = least(own_queue.run_at, now())`.execute(transaction);
}

export const ownQueueChannel = "own_queue";

export interface OwnQueueOptions {
  readonly url: string;
  readonly database: Database;
  readonly turns: number;
  readonly workerTimeoutMs: number;
  readonly log: Logger;
  readonly onTurn: (sessionId: string) => Promise<void>;
}

export async function startOwnQueue(options: OwnQueueOptions): Promise<{ stop(): Promise<void> }> {
  const { database, workerTimeoutMs, log } = options;
  const holder = `${process.pid}-${Date.now()}`;
  const taker = createTaker(options, holder);
  const look = async (): Promise<void> => {
    await handOverLost(database, workerTimeoutMs);
    await taker.fetch();
  };
  const quietly = (work: () => Promise<unknown>) => () =>
    void work().catch((error: unknown) => log.warn({ error }, "the queue could not be reached"));
  const fetch = quietly(taker.fetch);
  const channel = await openNotifyChannel({
    connectionString: options.url,
    channel: ownQueueChannel,
    applicationName: "own queue",
    log,
    onPayload: fetch,
    onReconnected: fetch,
  });
  const timers = [setInterval(quietly(taker.beat), workerTimeoutMs / 4), setInterval(quietly(look), 1000)];
  fetch();
  return {
    async stop() {
      taker.stop();
      for (const timer of timers) clearInterval(timer);
      await channel.close();
    },
  };
}

interface Taker {
  fetch(): Promise<void>;
  beat(): Promise<void>;
  stop(): void;
}

/** Takes turns into the free slots; calls during a fetch are answered by one more after it. */
function createTaker({ database, turns, log, onTurn }: OwnQueueOptions, holder: string): Taker {
  const running = new Set<string>();
  let stopped = false;
  let fetching = false;
  let again = false;
  const run = async (sessionId: string): Promise<void> => {
    try {
      await onTurn(sessionId);
      await settle(database, sessionId, holder);
    } catch (error) {
      log.error({ error, session: sessionId }, "a turn failed");
      await giveBack(database, sessionId, holder);
    } finally {
      running.delete(sessionId);
    }
    await fetch();
  };
  const fetch = async (): Promise<void> => {
    again = true;
    if (fetching) return;
    fetching = true;
    try {
      while (again) {
        again = false;
        const slots = stopped ? 0 : turns - running.size;
        const taken = slots > 0 ? await take(database, holder, slots) : [];
        // Full: there may be more.
        if (slots > 0 && taken.length === slots) again = true;
        for (const sessionId of taken) {
          running.add(sessionId);
          run(sessionId).catch((error: unknown) => log.warn({ error }, "the end of a turn could not be recorded"));
        }
      }
    } finally {
      fetching = false;
    }
  };
  return {
    fetch,
    async beat() {
      if (running.size > 0) await sql`update own_queue set beat_at = now() where holder = ${holder}`.execute(database);
    },
    stop() {
      stopped = true;
    },
  };
}

async function take(database: Database, holder: string, slots: number): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`
    update own_queue set holder = ${holder}, beat_at = now(), wanted = false
    where session_id in (
      select session_id from own_queue where wanted and holder is null and run_at <= now()
      order by run_at limit ${slots} for update skip locked
    ) returning session_id as id`.execute(database);
  return rows.map((row) => row.id);
}

async function settle(database: Database, sessionId: string, holder: string): Promise<void> {
  await sql`
    with woken as (
      update own_queue set holder = null, failures = 0
      where session_id = ${sessionId} and holder = ${holder} and wanted
    )
    delete from own_queue where session_id = ${sessionId} and holder = ${holder} and not wanted`.execute(database);
}

async function giveBack(database: Database, sessionId: string, holder: string): Promise<void> {
  await sql`
    update own_queue set holder = null, wanted = true, failures = failures + 1,
      run_at = now() + least(30, 2 ^ failures) * interval '1 second'
    where session_id = ${sessionId} and holder = ${holder}`.execute(database);
}

async function handOverLost(database: Database, workerTimeoutMs: number): Promise<void> {
  await sql`
    update own_queue set holder = null, wanted = true, run_at = now()
    where holder is not null and beat_at < now() - ${workerTimeoutMs}::float8 * interval '1 millisecond'`.execute(
    database,
  );
}

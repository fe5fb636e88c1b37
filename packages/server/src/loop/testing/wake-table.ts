/**
 * An engine for tests that drive turns themselves: wakes are rows, committed or not with the transaction that asks for
 * them, and taken in the order of their instants.
 * @module
 */
import { sql } from "kysely";
import type { Database } from "../../db/database.ts";
import type { Engine } from "../../engine/engine.ts";

export interface WakeTable {
  readonly engine: Engine;
  /** The next wake and every other one of the same session that is due; null when there is none within the hour. */
  take(now: number): Promise<{ readonly sessionId: string; readonly at: number } | null>;
  /** Until the answer is called, every transaction that asks for a turn fails. */
  breakTransactions(): () => void;
}

/** A wait that is longer is one for something else, which a test has still to bring. */
const horizonMs = 3_600_000;

export async function createWakeTables(database: Database): Promise<void> {
  await sql`create unlogged table test_wakes (
    id bigint generated always as identity, run text, session_id text, at bigint
  )`.execute(database);
  await sql`create index on test_wakes (run)`.execute(database);
}

/** @param run Separates the wakes of one run from those of others. */
export function createWakeTable(database: Database, run: string, now: () => number): WakeTable {
  let broken = false;
  const insert: Engine["wakeAt"] = async (sessionId, at, transaction) => {
    if (broken) throw new Error("the connection is lost");
    await sql`insert into test_wakes (run, session_id, at) values (${run}, ${sessionId}, ${at.getTime()})`.execute(
      transaction,
    );
  };
  return {
    engine: {
      start: () => Promise.resolve(),
      stop: () => Promise.resolve(),
      every: () => undefined,
      wake: (sessionId, transaction) => insert(sessionId, new Date(now()), transaction),
      wakeAt: insert,
    },
    async take(instant) {
      const { rows } = await sql<{ session_id: string; at: string }>`
        with next as (select session_id, at from test_wakes where run = ${run} and at <= ${instant + horizonMs} order by at, id limit 1)
        delete from test_wakes wake using next
        where wake.run = ${run} and wake.session_id = next.session_id and wake.at <= greatest(next.at, ${instant})
        returning next.session_id, next.at`.execute(database);
      const [row] = rows;
      return row === undefined ? null : { sessionId: row.session_id, at: Number(row.at) };
    },
    breakTransactions() {
      broken = true;
      return () => {
        broken = false;
      };
    },
  };
}

/** Commits do not wait for the disk: what a lost driver leaves does not depend on it. For connections that come later. */
export async function settleFast(database: Database): Promise<void> {
  await sql`do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`.execute(
    database,
  );
}

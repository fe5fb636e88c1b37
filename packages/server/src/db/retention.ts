/**
 * Rows that nobody reads any more are deleted, a bounded number at a time: a delete of a million rows would hold back
 * everything that touches their table. Finished jobs are not among them: the queue deletes its own.
 * @module
 */
import { sql } from "kysely";
import type { Database } from "./database.ts";

/** What expires: a table, its key, and what of it is old. A constant, never input. */
interface Expiring {
  readonly table: string;
  readonly key: string;
  readonly expired: string;
}

const expiring: readonly Expiring[] = [
  // The answer to a repeated request is kept for a day, as the guide says.
  { table: "idempotent_requests", key: "organization_id, key_hash", expired: "created_at < now() - interval '1 day'" },
  { table: "webhook_deliveries", key: "webhook_id, delivery_id", expired: "received_at < now() - interval '1 day'" },
  { table: "work_items", key: "id", expired: "state = 'stopped' and stopped_at < now() - interval '7 days'" },
  { table: "work_tokens", key: "token_hash", expired: "expires_at < now()" },
  { table: "uploaded_files", key: "id", expired: "expires_at < now()" },
  { table: "work_pollers", key: "environment_id, worker_id", expired: "polled_at < now() - interval '1 day'" },
];

const rowsAtATime = 1000;

/**
 * Deletes all that has expired, in transactions of at most 1,000 rows, until nothing is left or `signal` fires; returns
 * how many rows. Two at once do each other no harm.
 * @example engine.every("retention", 60_000, (signal) => deleteExpired(database, signal));
 */
export async function deleteExpired(database: Database, signal: AbortSignal): Promise<number> {
  let deleted = 0;
  for (const { table, key, expired } of expiring) {
    for (let full = true; full && !signal.aborted;) {
      const { numAffectedRows = 0n } = await sql`
        delete from ${sql.table(table)} where (${sql.raw(key)}) in (
          select ${sql.raw(key)} from ${sql.table(table)} where ${sql.raw(expired)}
          limit ${rowsAtATime} for update skip locked
        )`.execute(database);
      deleted += Number(numAffectedRows);
      full = numAffectedRows === BigInt(rowsAtATime);
    }
  }
  return deleted;
}

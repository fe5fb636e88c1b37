/**
 * Keeps apart, within an organization, whoever writes down that a blob or a snapshot is used, and the collector, which
 * deletes what is not. Held to the end of the transaction, and taken before any row.
 * @module
 */
import { sql, type Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";

/** For users; many at once. */
export async function shareCollectionLock(transaction: Transaction<Tables>, organizationId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(hashtextextended(${`blobs of ${organizationId}`}, 0))`.execute(
    transaction,
  );
}

/** For the collector, alone. */
export async function takeCollectionLock(transaction: Transaction<Tables>, organizationId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`blobs of ${organizationId}`}, 0))`.execute(transaction);
}

/** Putting texts that were written just now into the search index (migration 0023). @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";

/** How long a text that was written just now may wait for the index. */
export const settleIntervalMs = 5_000;

/** Whoever changes one of these files meanwhile waits for the whole portion. */
const portion = 16;

/**
 * Goes on until nothing waits or `signal` fires; returns how many. Two at once do each other no harm, and a search finds
 * the same before and after.
 * @example engine.every("search texts", settleIntervalMs, (signal) => settleTexts(database, signal));
 */
export async function settleTexts(database: Kysely<Tables>, signal: AbortSignal): Promise<number> {
  let settled = 0;
  for (let last = portion; last === portion && !signal.aborted;) {
    const { rows } = await sql<{ count: number }>`select file_settle_texts(${portion}) as count`.execute(database);
    last = rows[0]?.count ?? 0;
    settled += last;
  }
  return settled;
}

/** Reads the texts of candidates and matches them: while one batch is matched, the next one is on its way. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { type StoredMount, visiblePath } from "../mounts.ts";
import type { Search } from "../search-request.ts";

export interface Candidate {
  readonly id: number;
  /** As it is stored. */
  readonly path: string;
  readonly size_bytes: number;
}

/** Of one batch; a larger file is a batch of its own. */
const batchBytes = 2 * 1024 * 1024;
const batchFiles = 500;

/** False: no more are wanted. */
export async function matchTexts(
  database: Kysely<Tables>,
  mount: StoredMount,
  candidates: readonly Candidate[],
  search: Search,
): Promise<boolean> {
  let next = 0;
  const fetchBatch = () => {
    const batch = takeBatch(candidates, next);
    next += batch.length;
    return { batch, texts: batch.length === 0 ? null : readTexts(database, batch) };
  };
  for (let current = fetchBatch(); current.texts !== null;) {
    const texts = await current.texts;
    const following = fetchBatch();
    // Nobody waits for it when the search ends here.
    following.texts?.catch(() => undefined);
    for (const { id, path } of current.batch) {
      const text = texts.get(id);
      // Binary, or removed meanwhile.
      if (text === undefined) continue;
      if (!(await search.add(visiblePath(mount, path), text))) return false;
    }
    current = following;
  }
  return true;
}

function takeBatch(candidates: readonly Candidate[], start: number): readonly Candidate[] {
  let bytes = 0;
  let end = start;
  while (end < candidates.length && end < start + batchFiles) {
    bytes += candidates[end]?.size_bytes ?? 0;
    if (bytes > batchBytes && end > start) break;
    end += 1;
  }
  return candidates.slice(start, end);
}

async function readTexts(database: Kysely<Tables>, batch: readonly Candidate[]): Promise<Map<number, string>> {
  const ids = batch.map((candidate) => candidate.id);
  const { rows } = await sql<{ entry_id: number; body: string }>`
    select entry_id, body from file_texts where entry_id = any(${ids})`.execute(database);
  return new Map(rows.map((row) => [row.entry_id, row.body]));
}

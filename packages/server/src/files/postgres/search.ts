/**
 * Finding stored files by name and by content.
 *
 * Grep narrows by the trigram index where the pattern has literals, then matches lines here, so that the dialect is the
 * same as in the workspace; a model's pattern never reaches Postgres. The planner does not count the cost of reading
 * large values and would rather scan, so the query forbids it the scan: the search text has no other index.
 * @module
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { compileGlob } from "../glob-pattern.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import { isWithin, relativePath } from "../path.ts";
import type { SearchPattern } from "../search-pattern.ts";
import { startSearch } from "../search-request.ts";
import type { FileMatch, GrepRequest, GrepResult } from "../store.ts";

/** Files read at once; one batch holds at most this many texts of a mebibyte. */
const batchFiles = 64;

export interface SearchScope {
  readonly organizationId: string;
  readonly mount: StoredMount;
}

/** `path` may be a directory in the mount, the mount itself, or a directory above it. */
export async function globStored(
  database: Kysely<Tables>,
  scope: SearchScope,
  path: string,
  pattern: string,
  maximum: number,
): Promise<readonly FileMatch[]> {
  const matches = compileGlob(pattern);
  const rows = await database
    .selectFrom("file_entries")
    .select(["path", "updated_at"])
    .where("organization_id", "=", scope.organizationId)
    .where("mount", "=", scope.mount.key)
    .where("kind", "=", "file")
    .where(below(scope, path))
    .orderBy("updated_at", "desc")
    .orderBy("path")
    .execute();
  const found: FileMatch[] = [];
  for (const row of rows) {
    if (found.length >= maximum) break;
    const visible = visiblePath(scope.mount, row.path);
    if (matches(relativePath(path, visible))) found.push({ path: visible, modifiedAt: row.updated_at.getTime() });
  }
  return found;
}

export async function grepStored(
  database: Kysely<Tables>,
  scope: SearchScope,
  request: GrepRequest,
): Promise<GrepResult> {
  const search = startSearch(request);
  const candidates = await database
    .transaction()
    .execute((transaction) => findCandidates(transaction, scope, request.path, search.pattern));
  const selected = candidates.filter((candidate) => search.wants(candidate.path));
  for (let start = 0; start < selected.length; start += batchFiles) {
    for (const { path, body } of await readTexts(database, scope.mount, selected.slice(start, start + batchFiles))) {
      if (!(await search.add(path, body))) return search.result();
    }
  }
  return search.result();
}

interface Candidate {
  readonly id: number;
  readonly path: string;
}

async function findCandidates(
  transaction: Transaction<Tables>,
  scope: SearchScope,
  path: string,
  pattern: SearchPattern,
): Promise<readonly Candidate[]> {
  if (pattern.literals.length > 0) {
    await sql`set local enable_seqscan = off`.execute(transaction);
  }
  const { rows } = await candidateQuery(scope, path, pattern).execute(transaction);
  return rows.map(({ id, path: stored }) => ({ id, path: visiblePath(scope.mount, stored) }));
}

/** Exported for the test that looks at its plan. */
export function candidateQuery(scope: SearchScope, path: string, pattern: SearchPattern) {
  const like = sql.raw(pattern.ignoreCase ? "ilike" : "like");
  const conditions = pattern.literals.map(
    (literal) => sql`and body ${like} ${`%${literal.replace(/[\\%_]/g, "\\$&")}%`}`,
  );
  const narrowed =
    conditions.length === 0
      ? sql``
      : sql`and id in (
          with candidates as materialized (
            select entry_id from file_texts where organization_id = ${scope.organizationId} ${sql.join(conditions, sql` `)}
          ) select entry_id from candidates)`;
  const start = below(scope, path);
  return sql<Candidate>`
    select id, path from file_entries
    where organization_id = ${scope.organizationId} and mount = ${scope.mount.key} and kind = 'file' and ${start} ${narrowed}
    order by path`;
}

async function readTexts(database: Kysely<Tables>, mount: StoredMount, candidates: readonly Candidate[]) {
  const rows = await database
    .selectFrom("file_texts")
    .innerJoin("file_entries", "file_entries.id", "file_texts.entry_id")
    .select(["file_entries.path", "file_texts.body"])
    .where(
      "file_texts.entry_id",
      "in",
      candidates.map((candidate) => candidate.id),
    )
    .orderBy("file_entries.path")
    .execute();
  return rows.map(({ path, body }) => ({ path: visiblePath(mount, path), body }));
}

function below(scope: SearchScope, path: string) {
  if (isWithin(path, scope.mount.prefix)) return sql<boolean>`true`;
  const stored = pathInMount(scope.mount, path);
  // Everything below a directory sorts between its path with a slash and its path with the next character.
  return sql<boolean>`(path = ${stored} or (path > ${`${stored}/`} and path < ${`${stored}0`}))`;
}

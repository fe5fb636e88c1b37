/**
 * Finding stored files by name and by content.
 *
 * Grep looks into the files that come first, as they are: for a frequent word they are enough. For the rest it narrows by
 * the trigram index where the pattern has literals. Texts are always matched here, so that the dialect is the same as in
 * the workspace; a model's pattern never reaches Postgres.
 * @module
 */
import { type Kysely, sql, type Transaction } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { compileGlob } from "../glob-pattern.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";
import { isWithin, relativePath } from "../path.ts";
import type { Clause, Required } from "../regex/required.ts";
import { startSearch } from "../search-request.ts";
import { belowOrAt } from "./directories.ts";
import { FileError, type FileMatch, type GrepRequest, type GrepResult } from "../store.ts";
import { type Candidate, matchTexts } from "./search-texts.ts";

/** Files looked into before the index is asked. */
const firstFiles = 64;
/** Files whose names are read at once where every file is looked into. */
const nextFiles = 2_000;
/** Of one query to the index. */
const mostClauses = 3;
/** Milliseconds: a query to the index takes some. */
const queryTimeoutMs = 20_000;
/** As Postgres numbers it. */
const queryCanceled = "57014";

export interface SearchScope {
  readonly organizationId: string;
  readonly mount: StoredMount;
}

/** Newest first. `directory` may be a directory in the mount, the mount itself, or a directory above it. */
export async function globStored(
  database: Kysely<Tables>,
  scope: SearchScope,
  directory: string,
  pattern: string,
  maximum: number,
): Promise<readonly FileMatch[]> {
  const path = directory.normalize("NFC");
  const matches = compileGlob(pattern);
  const { rows } = await namesQuery(scope, path).execute(database);
  const names = rows[0]?.names ?? null;
  if (names === null) return [];
  const found: string[] = [];
  for (const stored of names.split("\n")) {
    if (found.length >= maximum) break;
    if (matches(relativePath(path, visiblePath(scope.mount, stored)))) found.push(stored);
  }
  if (found.length === 0) return [];
  const times = await readTimes(database, scope, found);
  return found.flatMap((stored) => {
    const modifiedAt = times.get(stored);
    return modifiedAt === undefined ? [] : [{ path: visiblePath(scope.mount, stored), modifiedAt }];
  });
}

/**
 * All names as one text, the newest first: ten thousand rows would take longer to send than to find. No stored path
 * holds a line feed (`storedPath`). Exported for the test that looks at its plan.
 */
export function namesQuery(scope: SearchScope, path: string) {
  return sql<{ names: string | null }>`
    select string_agg(path, chr(10)) as names from (
      select path from file_entries
      where organization_id = ${scope.organizationId} and mount = ${scope.mount.key} and kind = 'file' and ${below(scope, path)}
      order by revision desc, path) as newest`;
}

async function readTimes(
  database: Kysely<Tables>,
  scope: SearchScope,
  paths: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await sql<{ path: string; updated_at: Date }>`
    select path, updated_at from file_entries
    where organization_id = ${scope.organizationId} and mount = ${scope.mount.key} and path = any(${paths})`.execute(
    database,
  );
  return new Map(rows.map((row) => [row.path, row.updated_at.getTime()]));
}

export async function grepStored(
  database: Kysely<Tables>,
  scope: SearchScope,
  given: GrepRequest,
): Promise<GrepResult> {
  // As paths are stored.
  const request = { ...given, path: given.path.normalize("NFC") };
  const search = startSearch(request);
  const clauses = indexedClauses(search.pattern.required);
  const page = { ...scope, path: request.path };
  let after = "";
  for (let number = 0; ; number += 1) {
    const limit = number === 0 ? firstFiles : nextFiles;
    const candidates = await readCandidates(database, { ...page, after, limit });
    const selected = candidates.filter((candidate) => search.wants(visiblePath(scope.mount, candidate.path)));
    if (!(await matchTexts(database, scope.mount, selected, search))) return search.result();
    after = candidates.at(-1)?.path ?? after;
    if (candidates.length < limit) return search.result();
    if (clauses.length > 0 && !search.isFrequent(nextFiles)) break;
  }
  const rest = await findCandidates(
    database,
    { ...page, after },
    { clauses, ignoreCase: search.pattern.required.ignoreCase },
  );
  const selected = rest.filter((candidate) => search.wants(visiblePath(scope.mount, candidate.path)));
  await matchTexts(database, scope.mount, selected, search);
  return search.result();
}

interface Page extends SearchScope {
  readonly path: string;
  /** Only files behind this one. */
  readonly after: string;
}

async function readCandidates(
  database: Kysely<Tables>,
  page: Page & { readonly limit: number },
): Promise<readonly Candidate[]> {
  const { rows } = await sql<Candidate>`
    select id, path, size_bytes from file_entries
    where ${isInPage(page)}
    order by path limit ${page.limit}`.execute(database);
  return rows;
}

async function findCandidates(database: Kysely<Tables>, page: Page, required: Required): Promise<readonly Candidate[]> {
  return database.transaction().execute(async (transaction) => {
    await preferIndex(transaction);
    const { rows } = await candidateQuery(page, required).execute(transaction).catch(explainTimeout);
    return rows;
  });
}

/** @throws FileError `failed` for a query that was ended */
function explainTimeout(error: unknown): never {
  const isTimeout = typeof error === "object" && error !== null && "code" in error && error.code === queryCanceled;
  if (!isTimeout) throw error;
  throw new FileError(
    "failed",
    `Searching took more than ${queryTimeoutMs / 1000} seconds: name a smaller directory, or a longer word in the pattern.`,
  );
}

/**
 * For the transaction: the planner does not count the cost of reading large values and would rather scan. Exported for
 * the test that looks at plans.
 */
export async function preferIndex(transaction: Transaction<Tables>): Promise<void> {
  await sql`select set_config('enable_seqscan', 'off', true),
    set_config('statement_timeout', ${String(queryTimeoutMs)}, true)`.execute(transaction);
}

/** Exported for the test that looks at its plan. */
export function candidateQuery(page: Page, { clauses, ignoreCase }: Required) {
  const like = sql.raw(ignoreCase ? "ilike" : "like");
  const conditions = clauses.map((clause) => {
    const any = clause.map((literal) => sql`body ${like} ${`%${literal.replace(/[\\%_]/g, "\\$&")}%`}`);
    return sql`(${sql.join(any, sql` or `)})`;
  });
  return sql<Candidate>`
    with candidates as materialized (
      select entry_id from file_texts
      where organization_id = ${page.organizationId} and ${sql.join(conditions, sql` and `)})
    select id, path, size_bytes from file_entries
    where ${isInPage(page)} and id in (select entry_id from candidates)
    order by path`;
}

/** Those that the index can look up, the best first: a trigram is three letters or digits in a row. */
export function indexedClauses({ clauses }: Required): Clause[] {
  const usable = clauses.filter((clause) => clause.every((literal) => /[\p{L}\p{N}]{3}/u.test(literal)));
  return usable.slice(0, mostClauses);
}

function isInPage({ organizationId, mount, path, after }: Page) {
  return sql<boolean>`organization_id = ${organizationId} and mount = ${mount.key} and kind = 'file'
    and path > ${after} and ${below({ organizationId, mount }, path)}`;
}

function below(scope: SearchScope, path: string) {
  if (isWithin(path, scope.mount.prefix)) return sql<boolean>`true`;
  const stored = pathInMount(scope.mount, path);
  return belowOrAt(stored);
}

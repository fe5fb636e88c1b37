/** What lies directly in a directory. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { pathInMount, type StoredMount, visiblePath } from "../mounts.ts";

/** A file or a directory, as its row has it. */
export interface StoredEntry {
  readonly kind: "file" | "directory";
  readonly path: string;
  /** Null for a directory. */
  readonly memoryId: string | null;
  readonly version: number;
  readonly sha256: string | null;
  readonly size: number;
  readonly executable: boolean;
  readonly userId: string | null;
  readonly sessionId: string | null;
  readonly untrusted: boolean;
  readonly updatedAt: Date;
}

interface EntryRow extends Omit<StoredEntry, "memoryId" | "userId" | "sessionId" | "updatedAt" | "size"> {
  readonly memory_id: string | null;
  readonly size_bytes: number;
  readonly user_id: string | null;
  readonly session_id: string | null;
  readonly updated_at: Date;
}

const columns = sql.raw(
  "kind, path, memory_id, version, sha256, size_bytes, executable, user_id, session_id, untrusted, updated_at",
);

/** Null when nothing is there. The mount itself has no row. */
export async function findEntry(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  path: string,
): Promise<StoredEntry | null> {
  const { rows } = await sql<EntryRow>`
    select ${columns} from file_entries
    where organization_id = ${organizationId} and mount = ${mount.key} and path = ${pathInMount(mount, path)}`.execute(
    database,
  );
  const [row] = rows;
  return row === undefined ? null : entryOf(mount, row);
}

export interface ListingQuery {
  readonly limit: number;
  /** Only what comes after this path. */
  readonly after?: string;
}

/**
 * In the order of paths. Everything below a directory sorts between its path with a slash and its path with the
 * character after the slash.
 * @param directory The mount's prefix, or a directory in it.
 */
export async function listEntries(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  directory: string,
  { limit, after }: ListingQuery,
): Promise<readonly StoredEntry[]> {
  const stored = pathInMount(mount, directory);
  const beyond = after === undefined ? `${stored}/` : pathInMount(mount, after);
  const { rows } = await sql<EntryRow>`
    select ${columns} from file_entries
    where organization_id = ${organizationId} and mount = ${mount.key}
      and path > ${beyond} and path > ${`${stored}/`} and path < ${`${stored}0`}
      and strpos(substr(path, length(${stored}::text) + 2), '/') = 0
    order by path limit ${limit}`.execute(database);
  return rows.map((row) => entryOf(mount, row));
}

/** Those of some paths that are there. */
export async function findEntries(
  database: Kysely<Tables>,
  organizationId: string,
  mount: StoredMount,
  paths: readonly string[],
): Promise<ReadonlyMap<string, StoredEntry>> {
  const stored = paths.map((path) => pathInMount(mount, path));
  const { rows } = await sql<EntryRow>`
    select ${columns} from file_entries
    where organization_id = ${organizationId} and mount = ${mount.key} and path = any(${stored})`.execute(database);
  return new Map(rows.map((row) => [visiblePath(mount, row.path), entryOf(mount, row)]));
}

function entryOf(mount: StoredMount, row: EntryRow): StoredEntry {
  const { kind, version, sha256, executable, untrusted } = row;
  return {
    kind,
    path: visiblePath(mount, row.path),
    memoryId: row.memory_id,
    version,
    sha256,
    size: row.size_bytes,
    executable,
    userId: row.user_id,
    sessionId: row.session_id,
    untrusted,
    updatedAt: row.updated_at,
  };
}

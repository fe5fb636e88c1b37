/** Memories as they are read: one, or a page of a store. @module */
import { instantOf } from "@exoloop/protocol/ids";
import type { Memory, MemoryListItem, MemoryView } from "@exoloop/protocol/memories";
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Tables } from "../../db/tables.ts";
import { ancestorsBelow, foldPath } from "../path.ts";
import { decodeText } from "../text.ts";
import type { OpenStore } from "./store-access.ts";

interface MemoryRow {
  readonly memory_id: string;
  readonly version_id: string;
  readonly path: string;
  readonly sha256: string;
  readonly size_bytes: number;
  readonly updated_at: Date;
  readonly content: Buffer | null;
}

/** The condition of all that follows. The store is the caller's. */
function ofStore({ row }: OpenStore): RawBuilder<boolean> {
  return sql<boolean>`entry.organization_id = ${row.organization_id} and entry.mount = ${row.mount} and entry.kind = 'file'`;
}

function columns(view: MemoryView): RawBuilder<unknown> {
  return sql`
    entry.memory_id, entry.path, entry.sha256, entry.size_bytes, entry.updated_at,
    (select version.id from file_versions version
      where version.organization_id = entry.organization_id and version.mount = entry.mount
        and version.path = entry.path and version.version = entry.version) as version_id,
    ${
      view === "basic"
        ? sql`null::bytea`
        : sql`(select blob.content from file_blobs blob
            where blob.organization_id = entry.organization_id and blob.sha256 = entry.sha256)`
    } as content`;
}

function toMemory(store: OpenStore, row: MemoryRow): Memory {
  return {
    id: row.memory_id,
    type: "memory",
    memory_store_id: store.row.id,
    memory_version_id: row.version_id,
    path: row.path,
    content_sha256: row.sha256,
    content_size_bytes: row.size_bytes,
    content: row.content === null ? null : decodeText(row.content),
    created_at: new Date(instantOf(row.memory_id) ?? row.updated_at.getTime()).toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** Null when the store has no such memory. */
export async function findMemory(
  database: Kysely<Tables>,
  store: OpenStore,
  memoryId: string,
  view: MemoryView,
): Promise<Memory | null> {
  // By its identifier first: without statistics the whole store would be read.
  const { rows } = await sql<MemoryRow>`
    select ${columns(view)} from (select * from file_entries where memory_id = ${memoryId} offset 0) entry
    where ${ofStore(store)}`.execute(database);
  const [row] = rows;
  return row === undefined ? null : toMemory(store, row);
}

export interface MemoryQuery {
  /** Begins and ends with a slash. */
  readonly prefix: string;
  /** What lies deeper than one segment is shown as its directory. */
  readonly shallow: boolean;
  readonly view: MemoryView;
  readonly limit: number;
  /** The path of the last item of the page before. */
  readonly after: string | null;
}

export interface MemoryPage {
  readonly items: readonly MemoryListItem[];
  readonly more: boolean;
}

/** In the order of their paths' bytes. */
export async function listMemories(
  database: Kysely<Tables>,
  store: OpenStore,
  query: MemoryQuery,
): Promise<MemoryPage> {
  const { prefix, view, limit } = query;
  // The character after the slash ends the range of all that begins with the prefix.
  const end = `${prefix.slice(0, -1)}0`;
  const range = sql`${ofStore(store)} and entry.path > ${startOf(query)} and entry.path < ${end}`;
  // As Postgres counts characters.
  const prefixLength = sql`length(${prefix}::text)`;
  const rest = sql`substr(entry.path, ${prefixLength} + 1)`;
  const item = query.shallow
    ? sql`case when strpos(${rest}, '/') = 0 then entry.path
        else left(entry.path, ${prefixLength} + strpos(${rest}, '/')) end`
    : sql`entry.path`;
  const { rows } = await sql<MemoryRow & { readonly item: string }>`
    with page as (
      select distinct on (item) entry.id, ${item} collate "C" as item
      from file_entries entry where ${range}
      order by item, entry.path limit ${limit + 1}
    )
    select page.item, ${columns(view)} from page join file_entries entry on entry.id = page.id
    order by page.item`.execute(database);
  const items = rows
    .slice(0, limit)
    .map((row): MemoryListItem =>
      row.item === row.path ? toMemory(store, row) : { type: "memory_prefix", path: row.item },
    );
  return { items, more: rows.length > limit };
}

/** Beyond a directory lies whatever comes after all that it holds. */
function startOf({ prefix, after }: MemoryQuery): string {
  if (after === null) return prefix;
  return after.endsWith("/") ? `${after.slice(0, -1)}0` : after;
}

/** What is in the way of a memory at a path: at it, above it, below it, or a name that differs only in case. */
export async function findOverlap(
  database: Kysely<Tables>,
  store: OpenStore,
  path: string,
): Promise<{ readonly memoryId: string; readonly path: string } | null> {
  const above = ancestorsBelow("", path);
  const folded = [...above, path].map(foldPath);
  const { organization_id: organizationId, mount } = store.row;
  // Few rows stand at the path and above it; of a directory that is in the way its first file is told.
  const { rows } = await sql<{ memory_id: string; path: string }>`
    with places as materialized (
      select entry.kind, entry.memory_id, entry.path from unnest(${folded}::text[]) wanted (folded)
      cross join lateral (select kind, memory_id, path from file_entries where folded_path = wanted.folded
        and mount = ${mount} and organization_id = ${organizationId} limit 1) entry)
    select memory_id, path from (
      select 0 as rank, memory_id, path from places where kind = 'file'
      union all
      select 1, inside.memory_id, inside.path
      from (select path from places where kind = 'directory' and not path = any(${above}::text[])) directory
      cross join lateral (select memory_id, path from file_entries
        where organization_id = ${organizationId} and mount = ${mount} and kind = 'file'
          and path > directory.path || '/' and path < directory.path || '0' order by path limit 1) inside) found
    order by rank, path limit 1`.execute(database);
  const [found] = rows;
  return found === undefined ? null : { memoryId: found.memory_id, path: found.path };
}

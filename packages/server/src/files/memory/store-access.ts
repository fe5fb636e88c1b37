/**
 * Which store a caller means, and what it may do there: a key of the organization may use all stores of the organization,
 * a piece of work only those of its session, as they are attached.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import { organizationMemoryStoreId } from "@exoloop/protocol/memory-stores";
import { type Kysely, type Selectable, sql } from "kysely";
import type { MemoryStoreTable } from "../../db/tables/memory.ts";
import type { Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import { memoryStoreMount, organizationMemoryMount, type StoredMount } from "../mounts.ts";
import type { FileActor } from "../store.ts";
import { attachedStores } from "../../sessions/resources/attached-stores.ts";

/** Who asks for memories. */
export interface MemoryCaller {
  readonly organizationId: string;
  readonly apiKeyId: string;
  readonly userId?: string | null;
  /** The caller works for this session, and for nothing else. */
  readonly session?: { readonly sessionId: string };
}

export type MemoryStoreRow = Selectable<MemoryStoreTable>;

export interface OpenStore {
  readonly row: MemoryStoreRow;
  /** With the paths of the API. */
  readonly mount: StoredMount;
}

/**
 * The store with this identifier.
 * @throws Problem `not_found`, also for a store that is not attached to the caller's session
 */
export async function openStore(database: Kysely<Tables>, caller: MemoryCaller, storeId: string): Promise<OpenStore> {
  if (caller.session !== undefined) return openAttached(database, caller, caller.session.sessionId, storeId);
  const row =
    storeId === organizationMemoryStoreId
      ? await organizationStore(database, caller.organizationId)
      : await findStore(database, caller.organizationId, storeId);
  if (row === undefined) throw storeNotFound(storeId);
  return { row, mount: mountOfStore(row, "read_write") };
}

async function openAttached(
  database: Kysely<Tables>,
  { organizationId }: MemoryCaller,
  sessionId: string,
  storeId: string,
): Promise<OpenStore> {
  const attached = await attachedStores(database, { organizationId, sessionId });
  const found = attached.find((store) => store.storeId === storeId);
  const row = found === undefined ? undefined : await findStore(database, organizationId, storeId);
  if (found === undefined || row === undefined) throw storeNotFound(storeId);
  return { row, mount: mountOfStore(row, found.access) };
}

function mountOfStore(row: MemoryStoreRow, access: StoredMount["access"]): StoredMount {
  if (row.mount === organizationMemoryMount.key) return { ...organizationMemoryMount, prefix: "", access };
  return memoryStoreMount(row.mount, "", access);
}

/**
 * The store, to change its memories.
 * @throws Problem `not_found`, `forbidden` where it is attached read-only, `memory_store_archived`
 */
export async function openStoreForWriting(
  database: Kysely<Tables>,
  caller: MemoryCaller,
  storeId: string,
): Promise<OpenStore> {
  const store = await openStoreForRemoval(database, caller, storeId);
  refuseArchivedStore(store.row);
  return store;
}

/** The store, to delete from it: what is archived can be emptied. @throws Problem `not_found`, `forbidden` */
export async function openStoreForRemoval(
  database: Kysely<Tables>,
  caller: MemoryCaller,
  storeId: string,
): Promise<OpenStore> {
  const store = await openStore(database, caller, storeId);
  if (store.mount.access === "read_write") return store;
  throw new Problem(
    "forbidden",
    `The memory store ${store.row.id} is attached to this session for reading only.`,
    "Attach it with access read_write, or write to another store.",
  );
}

/** @throws Problem `memory_store_archived` */
export function refuseArchivedStore(row: MemoryStoreRow): void {
  if (row.archived_at === null) return;
  throw new Problem(
    "memory_store_archived",
    `The memory store ${row.id} is archived: it and its memories do not change, and it cannot be attached.`,
    "Its memories can be read and deleted. Create a new store.",
  );
}

export function findStore(
  database: Kysely<Tables>,
  organizationId: string,
  storeId: string,
): Promise<MemoryStoreRow | undefined> {
  return database
    .selectFrom("memory_stores")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", "=", storeId)
    .executeTakeFirst();
}

/** The store that stands for /memory/org: made when it is first asked for, as old as its organization. */
export async function organizationStore(
  database: Kysely<Tables>,
  organizationId: string,
): Promise<MemoryStoreRow | undefined> {
  const { key } = organizationMemoryMount;
  const find = () =>
    database
      .selectFrom("memory_stores")
      .selectAll()
      .where("organization_id", "=", organizationId)
      .where("mount", "=", key)
      .executeTakeFirst();
  const found = await find();
  if (found !== undefined) return found;
  await sql`
    insert into memory_stores (id, organization_id, mount, name, description, created_at, updated_at)
    select ${createId("memoryStore")}, id, ${key}, 'org', 'Shared by every session of this organization.',
      created_at, created_at
    from organizations where id = ${organizationId}
    on conflict (organization_id, mount) do nothing`.execute(database);
  return find();
}

/** What a caller's changes are written down as. */
export function memoryActor(caller: MemoryCaller): FileActor {
  return {
    organizationId: caller.organizationId,
    sessionId: caller.session?.sessionId ?? null,
    toolUseId: null,
    via: "api",
    userId: caller.userId ?? null,
    apiKeyId: caller.session === undefined ? caller.apiKeyId : null,
  };
}

export function storeNotFound(storeId: string): Problem {
  return new Problem(
    "not_found",
    `No memory store has the id ${JSON.stringify(storeId)}.`,
    "List them with GET /v1/memory_stores.",
  );
}

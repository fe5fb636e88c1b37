/** Memory stores in Postgres. @module */
import { createId } from "@exoloop/protocol/ids";
import type { CreateMemoryStoreRequest, MemoryStore, UpdateMemoryStoreRequest } from "@exoloop/protocol/memory-stores";
import { type Kysely, sql } from "kysely";
import { changedMetadata } from "../../agents/definition.ts";
import {
  listCondition,
  listPage,
  type ListPage,
  type ListQuery,
  positionColumn,
  readOrder,
} from "../../agents/list.ts";
import type { Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import { memoryStoreKey, organizationMemoryMount } from "../mounts.ts";
import { deleteStoredFiles } from "./delete-files.ts";
import {
  type MemoryCaller,
  type MemoryStoreRow,
  openStore,
  organizationStore,
  refuseArchivedStore,
  storeNotFound,
} from "./store-access.ts";

/** Every method throws Problem `not_found` for a store that the caller does not have. */
export interface MemoryStoreRepository {
  create(organizationId: string, request: CreateMemoryStoreRequest): Promise<MemoryStore>;
  get(caller: MemoryCaller, storeId: string): Promise<MemoryStore>;
  /** @throws Problem `memory_store_archived`, `invalid_metadata`, `unsupported` */
  update(caller: MemoryCaller, storeId: string, request: UpdateMemoryStoreRequest): Promise<MemoryStore>;
  list(organizationId: string, query: ListQuery): Promise<ListPage<MemoryStore>>;
  /** For good. Archiving twice answers the same. @throws Problem `unsupported` for the organization's own */
  archive(caller: MemoryCaller, storeId: string): Promise<MemoryStore>;
  /** With its memories, their versions and contents. @throws Problem `unsupported` for the organization's own */
  delete(caller: MemoryCaller, storeId: string): Promise<void>;
}

/** @example const stores = createMemoryStoreRepository(database); */
export function createMemoryStoreRepository(database: Kysely<Tables>): MemoryStoreRepository {
  const show = async (row: MemoryStoreRow) => toStore(row, (await countMemories(database, [row])).get(row.mount) ?? 0);
  return {
    create: async (organizationId, request) => show(await createStore(database, organizationId, request)),
    get: async (caller, storeId) => show((await openStore(database, caller, storeId)).row),
    update: async (caller, storeId, request) => show(await updateStore(database, caller, storeId, request)),
    list: (organizationId, query) => listStores(database, organizationId, query),
    archive: async (caller, storeId) => show(await archiveStore(database, caller, storeId)),
    delete: (caller, storeId) => deleteStore(database, caller, storeId),
  };
}

function toStore(row: MemoryStoreRow, memories: number): MemoryStore {
  return {
    id: row.id,
    type: "memory_store",
    name: row.name,
    description: row.description,
    metadata: row.metadata,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    archived_at: row.archived_at?.toISOString() ?? null,
    x_exoloop: { kind: isOrganizations(row) ? "organization" : "named", memories },
  };
}

function isOrganizations(row: MemoryStoreRow): boolean {
  return row.mount === organizationMemoryMount.key;
}

/** By mount; nothing for a store that nobody has written to. */
async function countMemories(database: Kysely<Tables>, rows: readonly MemoryStoreRow[]): Promise<Map<string, number>> {
  const [first] = rows;
  if (first === undefined) return new Map();
  const counted = await database
    .selectFrom("file_mounts")
    .select(["mount", "files"])
    .where("organization_id", "=", first.organization_id)
    .where(
      "mount",
      "in",
      rows.map((row) => row.mount),
    )
    .execute();
  return new Map(counted.map((row) => [row.mount, row.files]));
}

function createStore(
  database: Kysely<Tables>,
  organizationId: string,
  request: CreateMemoryStoreRequest,
): Promise<MemoryStoreRow> {
  const id = createId("memoryStore");
  return database
    .insertInto("memory_stores")
    .values({
      id,
      organization_id: organizationId,
      mount: memoryStoreKey(id),
      name: request.name,
      description: request.description ?? "",
      metadata: JSON.stringify(request.metadata ?? {}),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function updateStore(
  database: Kysely<Tables>,
  caller: MemoryCaller,
  storeId: string,
  request: UpdateMemoryStoreRequest,
): Promise<MemoryStoreRow> {
  const { row } = await openStore(database, caller, storeId);
  const name = request.name ?? row.name;
  if (isOrganizations(row) && name !== row.name) {
    throw new Problem("unsupported", "name: the organization's own memory keeps its name.", "Leave it out.");
  }
  return database.transaction().execute(async (transaction) => {
    const current = await lockStore(transaction, row.id);
    refuseArchivedStore(current);
    return transaction
      .updateTable("memory_stores")
      .set({
        name: request.name ?? current.name,
        description: request.description ?? current.description,
        metadata: JSON.stringify(changedMetadata(current.metadata, request.metadata ?? {})),
        updated_at: sql<Date>`now()`,
      })
      .where("id", "=", row.id)
      .returningAll()
      .executeTakeFirstOrThrow();
  });
}

async function lockStore(transaction: Kysely<Tables>, storeId: string): Promise<MemoryStoreRow> {
  const row = await transaction
    .selectFrom("memory_stores")
    .selectAll()
    .where("id", "=", storeId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw storeNotFound(storeId);
  return row;
}

async function listStores(
  database: Kysely<Tables>,
  organizationId: string,
  query: ListQuery,
): Promise<ListPage<MemoryStore>> {
  if (query.position === null) await organizationStore(database, organizationId);
  const rows = await database
    .selectFrom("memory_stores")
    .selectAll()
    .select(positionColumn.as("list_position"))
    .where("organization_id", "=", organizationId)
    .where(listCondition(query))
    .orderBy("created_at", readOrder(query))
    .orderBy("id", readOrder(query))
    .limit(query.limit + 1)
    .execute();
  const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  const counts = await countMemories(database, page.rows);
  return { ...page, rows: page.rows.map((row) => toStore(row, counts.get(row.mount) ?? 0)) };
}

async function archiveStore(database: Kysely<Tables>, caller: MemoryCaller, storeId: string): Promise<MemoryStoreRow> {
  const { row } = await openStore(database, caller, storeId);
  refuseOrganizations(row, "archived");
  await database
    .updateTable("memory_stores")
    .set({ archived_at: sql<Date>`now()`, updated_at: sql<Date>`now()` })
    .where("id", "=", row.id)
    .where("archived_at", "is", null)
    .execute();
  return (await openStore(database, caller, storeId)).row;
}

async function deleteStore(database: Kysely<Tables>, caller: MemoryCaller, storeId: string): Promise<void> {
  const { row } = await openStore(database, caller, storeId);
  refuseOrganizations(row, "deleted");
  await database.transaction().execute(async (transaction) => {
    await deleteStoredFiles(transaction, row.organization_id, row.mount);
    const { numDeletedRows } = await transaction
      .deleteFrom("memory_stores")
      .where("id", "=", row.id)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw storeNotFound(storeId);
  });
}

function refuseOrganizations(row: MemoryStoreRow, what: string): void {
  if (!isOrganizations(row)) return;
  throw new Problem(
    "unsupported",
    `The organization's own memory cannot be ${what}: every session has it at /memory/org.`,
    "Delete its memories one by one.",
  );
}

/** The memory stores that a session sees: its own, or those of the session that it works for. @module */
import type { Kysely } from "kysely";
import type { Tables } from "../../db/tables.ts";

export interface AttachedStore {
  readonly storeId: string;
  /** The key of its files: see `memoryStoreMount`. */
  readonly mount: string;
  /** The directory below /memory at which the session sees it. */
  readonly name: string;
  /** `read_only` also while the store is archived. */
  readonly access: "read_only" | "read_write";
  /** For whoever works in the session; bounded, and text of the client's. */
  readonly instructions: string | null;
  /** Of the store, as it was when it was attached. */
  readonly description: string;
}

/**
 * In the order in which they were attached; without those that were detached or deleted since. A thread sees what its
 * session sees.
 * @example for (const store of await attachedStores(database, owner)) mounts.push(memoryStoreMount(store.mount, `/memory/${store.name}`, store.access))
 */
export async function attachedStores(
  database: Kysely<Tables>,
  owner: { readonly organizationId: string; readonly sessionId: string },
): Promise<readonly AttachedStore[]> {
  const rows = await database
    .selectFrom("sessions as session")
    .innerJoin("session_resources as resource", (join) =>
      join.on((expression) =>
        expression("resource.session_id", "=", expression.fn.coalesce("session.parent_session_id", "session.id")),
      ),
    )
    .innerJoin("memory_stores as store", (join) =>
      join
        .onRef("store.id", "=", "resource.memory_store_id")
        .onRef("store.organization_id", "=", "resource.organization_id"),
    )
    .select([
      "store.id",
      "store.mount",
      "store.archived_at",
      "resource.directory",
      "resource.access",
      "resource.instructions",
      "resource.description",
    ])
    .where("session.id", "=", owner.sessionId)
    .where("session.organization_id", "=", owner.organizationId)
    .where("resource.removed_at", "is", null)
    .orderBy("resource.position")
    .execute();
  return rows.map((row) => ({
    storeId: row.id,
    mount: row.mount,
    name: row.directory ?? "",
    access: row.archived_at === null ? (row.access ?? "read_only") : "read_only",
    instructions: row.instructions,
    description: row.description ?? "",
  }));
}

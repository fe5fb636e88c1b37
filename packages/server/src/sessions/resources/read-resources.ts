/** What is attached to sessions, as the API shows it. @module */
import type { SessionResource } from "@exoloop/protocol/session-resources";
import type { Kysely, Selectable } from "kysely";
import type { SessionResourceTable } from "../../db/tables/memory.ts";
import type { Tables } from "../../db/tables.ts";

export type ResourceRow = Selectable<SessionResourceTable>;

/** By session, in the order in which they were attached; a session without any is absent. */
export async function readResources(
  database: Kysely<Tables>,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, readonly SessionResource[]>> {
  const found = new Map<string, SessionResource[]>();
  if (sessionIds.length === 0) return found;
  const rows = await database
    .selectFrom("session_resources")
    .selectAll()
    .where("session_id", "in", [...sessionIds])
    .where("removed_at", "is", null)
    .orderBy("position")
    .execute();
  for (const row of rows) found.set(row.session_id, [...(found.get(row.session_id) ?? []), toResource(row)]);
  return found;
}

export function toResource(row: ResourceRow): SessionResource {
  if (row.type === "file") {
    return {
      type: "file",
      id: row.id,
      file_id: row.file_id ?? "",
      mount_path: row.mount_path ?? "",
      created_at: row.created_at.toISOString(),
      updated_at: row.updated_at.toISOString(),
    };
  }
  return {
    type: "memory_store",
    memory_store_id: row.memory_store_id ?? "",
    access: row.access ?? "read_only",
    instructions: row.instructions,
    mount_path: clientPath(row.directory ?? ""),
    name: row.name ?? "",
    description: row.description ?? "",
  };
}

/** Where a client, or a worker of its own, has the store; in this server's sandboxes it leads to /memory/<directory>. */
export function clientPath(directory: string): string {
  return `/mnt/memory/${directory}`;
}

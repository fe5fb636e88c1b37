/** Lists of sessions, newest first unless asked otherwise. @module */
import type { Kysely, Selectable } from "kysely";
import { listCondition, listPage, type ListPage, positionColumn, readOrder } from "../agents/list.ts";
import type { SessionTable, Tables } from "../db/tables.ts";
import { openTo } from "./access.ts";
import type { ListSessionsQuery, Principal } from "./port.ts";

export async function listSessions(
  database: Kysely<Tables>,
  principal: Principal,
  query: ListSessionsQuery,
): Promise<ListPage<Selectable<SessionTable>>> {
  let select = database
    .selectFrom("sessions")
    .selectAll()
    .select(positionColumn.as("list_position"))
    .where(openTo(principal, "oversee"))
    .where("parent_session_id", "is", null)
    .where(listCondition(query));
  if (query.agentId !== undefined) select = select.where("agent_id", "=", query.agentId);
  if (query.agentVersion !== undefined) select = select.where("agent_version", "=", query.agentVersion);
  if (query.deploymentId !== undefined) select = select.where("deployment_id", "=", query.deploymentId);
  const storeId = query.memoryStoreId;
  if (storeId !== undefined) {
    select = select.where(({ exists, selectFrom }) =>
      exists(
        selectFrom("session_resources as resource")
          .select("resource.id")
          .whereRef("resource.session_id", "=", "sessions.id")
          .where("resource.memory_store_id", "=", storeId)
          .where("resource.removed_at", "is", null),
      ),
    );
  }
  if (query.userId !== undefined) select = select.where("user_id", "=", query.userId);
  if (query.statuses !== undefined) select = select.where("status", "in", [...query.statuses]);
  const order = readOrder(query);
  const rows = await select
    .orderBy("created_at", order)
    .orderBy("id", order)
    .limit(query.limit + 1)
    .execute();
  return listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
}

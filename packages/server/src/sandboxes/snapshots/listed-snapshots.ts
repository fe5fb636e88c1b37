/** Snapshots as the API shows them, and sessions that begin with one. @module */
import type { WorkspaceSnapshot } from "@exoloop/protocol/snapshots";
import { type Kysely, type Selectable, sql, type Transaction } from "kysely";
import {
  listCondition,
  listPage,
  type ListPage,
  type ListQuery,
  positionColumn,
  readOrder,
} from "../../agents/list.ts";
import type { SnapshotTable, Tables } from "../../db/tables.ts";
import { Problem } from "../../errors.ts";
import type { Principal } from "../../orgs/principal.ts";
import { findOpenSession } from "../../sessions/access.ts";
import { shareCollectionLock } from "./collection-lock.ts";

export interface SnapshotRepository {
  /** @throws Problem `not_found` */
  list(principal: Principal, sessionId: string, query: ListQuery): Promise<ListPage<WorkspaceSnapshot>>;
  /**
   * Whether it stays when newer ones come.
   * @throws Problem `not_found`
   */
  keep(principal: Principal, sessionId: string, snapshotId: string, kept: boolean): Promise<WorkspaceSnapshot>;
}

export function createSnapshotRepository(database: Kysely<Tables>): SnapshotRepository {
  return {
    async list(principal, sessionId, query) {
      const { organizationId } = principal;
      await findOpenSession(database, principal, sessionId, "drive");
      const order = readOrder(query);
      const rows = await database
        .selectFrom("snapshots")
        .selectAll()
        .select(positionColumn.as("list_position"))
        .where("organization_id", "=", organizationId)
        .where("session_id", "=", sessionId)
        .where(listCondition(query))
        .orderBy("created_at", order)
        .orderBy("id", order)
        .limit(query.limit + 1)
        .execute();
      const found = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
      return { ...found, rows: found.rows.map((row) => toSnapshot(row, sessionId)) };
    },
    async keep(principal, sessionId, snapshotId, kept) {
      const { organizationId } = principal;
      await findOpenSession(database, principal, sessionId, "drive");
      const row = await database
        .updateTable("snapshots")
        .set({ kept })
        .where("id", "=", snapshotId)
        .where("session_id", "=", sessionId)
        .where("organization_id", "=", organizationId)
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) {
        throw new Problem("not_found", "The session has no snapshot with this id.", howToList);
      }
      return toSnapshot(row, sessionId);
    },
  };
}

const howToList = "List them with GET /v1/x/sessions/{session_id}/snapshots.";

function toSnapshot(row: Selectable<SnapshotTable>, sessionId: string): WorkspaceSnapshot {
  return {
    type: "workspace_snapshot",
    id: row.id,
    session_id: sessionId,
    parent_id: row.parent_id,
    generation: row.generation,
    files: row.files,
    left_out: row.left_out,
    bytes: row.logical_bytes,
    stored_bytes: row.stored_bytes,
    kept: row.kept,
    created_at: row.created_at.toISOString(),
  };
}

/**
 * The session's first sandbox is restored from the snapshot: of any session of the organization. The caller has inserted
 * the session in this transaction.
 * @throws Problem `not_found`
 */
export async function beginWithSnapshot(
  transaction: Transaction<Tables>,
  session: { readonly id: string; readonly organizationId: string },
  snapshotId: string,
): Promise<void> {
  await shareCollectionLock(transaction, session.organizationId);
  const { numAffectedRows } = await sql`
    insert into sandboxes (session_id, organization_id, provider, snapshot_id, snapshot_at)
    select ${session.id}, organization_id,
           coalesce((select provider from sandboxes origin where origin.session_id = snapshots.session_id), 'local'),
           id, created_at
    from snapshots where id = ${snapshotId} and organization_id = ${session.organizationId}`.execute(transaction);
  if (numAffectedRows === 1n) return;
  throw new Problem("not_found", "x_exoloop.workspace_snapshot: there is no snapshot with this id.", howToList);
}

/** /v1/x/sessions/{id}/snapshots @module */
import {
  updateSnapshotRequest,
  type WorkspaceSnapshot,
  workspaceSnapshot,
  workspaceSnapshotPage,
} from "@exoloop/protocol/snapshots";
import { z } from "zod";
import type { ListPage, ListQuery } from "../../agents/list.ts";
import type { Principal } from "../../sessions/port.ts";
import { readListQuery, writePage } from "../pages.ts";
import { limit, order, page } from "../query.ts";
import { addRoute, type RouteContext } from "../route.ts";

export interface SnapshotPort {
  /** @throws Problem `not_found` */
  list(principal: Principal, sessionId: string, query: ListQuery): Promise<ListPage<WorkspaceSnapshot>>;
  /**
   * Whether it stays when newer ones come.
   * @throws Problem `not_found`
   */
  keep(principal: Principal, sessionId: string, snapshotId: string, kept: boolean): Promise<WorkspaceSnapshot>;
}

const tag = "Exoloop";
const list = "/v1/x/sessions/{session_id}/snapshots";

export function addSnapshotRoutes(context: RouteContext, snapshots: SnapshotPort): void {
  addRoute(
    context,
    {
      method: "get",
      path: list,
      summary: "List the snapshots of a session's workspace",
      tag,
      query: z.strictObject({ limit, page, order }),
      answer: workspaceSnapshotPage,
    },
    async ({ principal, query, parameter }) => {
      const sessionId = parameter("session_id");
      const scope = { list: `snapshots of ${sessionId}`, organizationId: principal.organizationId };
      const listQuery = { ...readListQuery(scope, query), includeArchived: true };
      return writePage(scope, listQuery, await snapshots.list(principal, sessionId, listQuery), (row) => row);
    },
  );
  addRoute(
    context,
    {
      method: "post",
      path: `${list}/{snapshot_id}`,
      summary: "Keep a snapshot, or let it go when newer ones come",
      tag,
      body: updateSnapshotRequest,
      answer: workspaceSnapshot,
    },
    ({ principal, body, parameter }) =>
      snapshots.keep(principal, parameter("session_id"), parameter("snapshot_id"), body.kept),
  );
}

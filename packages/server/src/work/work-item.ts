/** A work item as the API shows it. @module */
import type { WorkItem } from "@exoloop/protocol/work";
import type { Selectable } from "kysely";
import type { WorkItemTable } from "../db/tables/work.ts";
import { Problem } from "../errors.ts";

export function writeWorkItem(row: Selectable<WorkItemTable>, secret: string | null = null): WorkItem {
  return {
    id: row.id,
    type: "work",
    environment_id: row.environment_id,
    data: { type: "session", id: row.session_id },
    state: row.state,
    metadata: row.metadata,
    secret,
    created_at: row.created_at.toISOString(),
    acknowledged_at: row.acknowledged_at?.toISOString() ?? null,
    started_at: row.started_at?.toISOString() ?? null,
    latest_heartbeat_at: row.latest_heartbeat_at?.toISOString() ?? null,
    stop_requested_at: row.stop_requested_at?.toISOString() ?? null,
    stopped_at: row.stopped_at?.toISOString() ?? null,
  };
}

export function workNotFound(): Problem {
  return new Problem(
    "not_found",
    "The environment has no work item with this id.",
    "List them with GET /v1/environments/{environment_id}/work.",
  );
}

export function workStopped(): Problem {
  return new Problem("work_stopped", "The work item has been stopped.", "Poll for other work.");
}

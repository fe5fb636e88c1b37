/** Sessions and events as the API answers them. @module */
import type { SessionEvent } from "@exoloop/protocol/session-events";
import type { Session } from "@exoloop/protocol/sessions";
import type { SessionRow, StoredEvent } from "../sessions/port.ts";
import { writeBudget } from "../sessions/session-budget.ts";
import { writeBudgetLimit, writeUsage } from "../sessions/usage-snapshot.ts";

/**
 * The event as stored: the log's writers are typed, so `data` is not judged again on every read.
 * @example writeEvent(stored) // { type: "agent.message", id: "sevt_…", processed_at: "…", content: […] }
 */
export function writeEvent(event: StoredEvent): SessionEvent {
  return {
    ...event.data,
    id: event.id,
    type: event.type,
    processed_at: event.processedAt?.toISOString() ?? null,
  } as SessionEvent;
}

export function writeSession(row: SessionRow): Session {
  return {
    id: row.id,
    type: "session",
    agent: row.agent,
    status: row.status,
    title: row.title,
    environment_id: row.environmentId,
    resources: [],
    vault_ids: [],
    metadata: { ...row.metadata },
    budget: writeBudgetLimit(row.budget.costMicros),
    outcome_evaluations: [],
    stats: { active_seconds: row.stats.activeSeconds, duration_seconds: row.stats.durationSeconds },
    usage: writeUsage(row.usage, Date.now()),
    deployment_id: row.deploymentId,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    archived_at: row.archivedAt?.toISOString() ?? null,
    x_exoloop: { sandbox: row.sandbox, budget: writeBudget(row) },
  };
}

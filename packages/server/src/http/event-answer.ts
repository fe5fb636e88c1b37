/** Sessions and events as the API answers them. @module */
import type { SessionEvent } from "@exoloop/protocol/session-events";
import type { Session } from "@exoloop/protocol/sessions";
import type { SessionThread } from "@exoloop/protocol/threads";
import type { SessionRow, StoredEvent, ThreadRow } from "../sessions/port.ts";
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

/**
 * An event of a thread's log: its status is that of a thread, not of a session.
 * @param agentName Null for the primary thread, whose log is the session's.
 */
export function writeThreadEvent(threadId: string, agentName: string | null, event: StoredEvent): SessionEvent {
  if (agentName === null || !event.type.startsWith("session.status_")) return writeEvent(event);
  return writeEvent({
    ...event,
    type: event.type.replace("session.status_", "session.thread_status_"),
    data: { ...event.data, session_thread_id: threadId, agent_name: agentName },
  });
}

export function writeThread(row: ThreadRow): SessionThread {
  const { stats, usage } = row;
  return {
    id: row.id,
    type: "session_thread",
    session_id: row.sessionId,
    agent: row.agent,
    parent_thread_id: row.parentThreadId,
    status: row.status,
    stats:
      stats === null
        ? null
        : { active_seconds: stats.activeSeconds, duration_seconds: stats.durationSeconds, startup_seconds: 0 },
    usage: usage === null ? null : writeUsage(usage, Date.now()),
    workflow_run_id: null,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    archived_at: row.archivedAt?.toISOString() ?? null,
  };
}

export function writeSession(row: SessionRow): Session {
  return {
    id: row.id,
    type: "session",
    agent: row.agent,
    status: row.status,
    title: row.title,
    environment_id: row.environmentId,
    resources: [...row.resources],
    vault_ids: [],
    metadata: { ...row.metadata },
    budget: writeBudgetLimit(row.budget.costMicros),
    outcome_evaluations: [...row.outcomeEvaluations],
    stats: { active_seconds: row.stats.activeSeconds, duration_seconds: row.stats.durationSeconds },
    usage: writeUsage(row.usage, Date.now()),
    deployment_id: row.deploymentId,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
    archived_at: row.archivedAt?.toISOString() ?? null,
    x_exoloop: {
      sandbox: row.sandbox,
      budget: writeBudget(row),
      user_id: row.userId,
      visibility: row.visibility,
    },
  };
}

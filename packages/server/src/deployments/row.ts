/** Deployments and their runs, from rows to what the API shows. @module */
import type { Deployment, DeploymentRun, InitialEvent } from "@exoloop/protocol/deployments";
import type { ResourceConfig } from "@exoloop/protocol/session-resources";
import type { Selectable } from "kysely";
import type { DeploymentRunTable, DeploymentTable } from "../db/tables/deployments.ts";
import { nextOccurrences, type Schedule } from "./cron.ts";

export type DeploymentRow = Selectable<DeploymentTable>;

const upcomingRuns = 5;

export function scheduleOf(row: Pick<DeploymentRow, "schedule_expression" | "schedule_timezone">): Schedule | null {
  const { schedule_expression: expression, schedule_timezone: timezone } = row;
  return expression === null || timezone === null ? null : { expression, timezone };
}

/** `now`: where the upcoming instants begin. */
export function toDeployment(row: DeploymentRow, now: Date): Deployment {
  const schedule = scheduleOf(row);
  const upcoming = schedule === null || row.archived_at !== null ? [] : nextOccurrences(schedule, now, upcomingRuns);
  return {
    id: row.id,
    type: "deployment",
    name: row.name,
    description: row.description,
    agent: { type: "agent", id: row.agent_id, version: row.agent_version },
    environment_id: row.environment_id,
    // Written from checked input.
    initial_events: row.initial_events as InitialEvent[],
    schedule:
      schedule === null
        ? null
        : {
            type: "cron",
            ...schedule,
            last_run_at: row.last_run_at?.toISOString() ?? null,
            upcoming_runs_at: upcoming.map((instant) => instant.toISOString()),
          },
    // An archived deployment is active to the API.
    status: row.paused_reason === null || row.archived_at !== null ? "active" : "paused",
    paused_reason: row.archived_at === null ? row.paused_reason : null,
    // Written from checked input.
    resources: row.resources as ResourceConfig[],
    vault_ids: [],
    metadata: row.metadata,
    budget: null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    archived_at: row.archived_at?.toISOString() ?? null,
    x_exoloop: {
      missed_runs: row.missed_runs,
      overlap: row.overlap,
      queued_runs_at: row.queued_runs_at.map((instant) => instant.toISOString()),
      skipped_runs: row.skipped_runs,
      last_skipped_at: row.last_skipped_at?.toISOString() ?? null,
    },
  };
}

export function toRun(row: Selectable<DeploymentRunTable>): DeploymentRun {
  return {
    id: row.id,
    type: "deployment_run",
    deployment_id: row.deployment_id,
    agent: { type: "agent", id: row.agent_id, version: row.agent_version },
    session_id: row.session_id,
    error: row.error,
    trigger_context:
      row.scheduled_at === null
        ? { type: "manual" }
        : { type: "schedule", scheduled_at: row.scheduled_at.toISOString() },
    created_at: row.created_at.toISOString(),
  };
}

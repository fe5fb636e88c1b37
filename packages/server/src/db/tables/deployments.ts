/** The tables of deployments. @module */
import type { MissedRunsPolicy, OverlapPolicy, PausedReason, RunError } from "@exoloop/protocol/deployments";
import type { ColumnType, Generated } from "kysely";

type Timestamp = ColumnType<Date, Date | undefined, Date>;
type Json<T> = ColumnType<T, string, string>;
type NullableJson<T> = ColumnType<T | null, string | null, string | null>;

export interface DeploymentTable {
  id: string;
  organization_id: string;
  name: string;
  description: string | null;
  agent_id: string;
  agent_version: number;
  environment_id: string;
  initial_events: Json<unknown[]>;
  metadata: Json<Record<string, string>>;
  schedule_expression: string | null;
  schedule_timezone: string | null;
  missed_runs: MissedRunsPolicy;
  overlap: OverlapPolicy;
  paused_reason: NullableJson<PausedReason>;
  next_run_at: Date | null;
  queued_runs_at: ColumnType<Date[], Date[] | undefined, Date[]>;
  last_run_at: Date | null;
  skipped_runs: Generated<number>;
  last_skipped_at: Date | null;
  created_at: Timestamp;
  updated_at: Timestamp;
  archived_at: Date | null;
  resources: ColumnType<unknown[], string | undefined, string>;
}

export interface DeploymentRunTable {
  id: string;
  organization_id: string;
  deployment_id: string;
  agent_id: string;
  agent_version: number;
  session_id: string | null;
  error: NullableJson<RunError>;
  scheduled_at: Date | null;
  ended_at: Date | null;
  created_at: Timestamp;
}

export interface DeploymentTables {
  deployments: DeploymentTable;
  deployment_runs: DeploymentRunTable;
}

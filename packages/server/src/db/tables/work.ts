/** Work for the workers of self-hosted environments. @module */
import type { ColumnType, Generated } from "kysely";

type Timestamp = ColumnType<Date, Date | undefined, Date>;

export type WorkState = "queued" | "starting" | "active" | "stopping" | "stopped";

export interface WorkItemTable {
  id: string;
  organization_id: string;
  environment_id: string;
  session_id: string;
  state: ColumnType<WorkState, WorkState | undefined, WorkState>;
  metadata: ColumnType<Record<string, string>, string | undefined, string>;
  attempt: Generated<number>;
  created_at: Timestamp;
  polled_at: Date | null;
  acknowledged_at: Date | null;
  started_at: Date | null;
  latest_heartbeat_at: Date | null;
  lease_expires_at: Date | null;
  stop_requested_at: Date | null;
  stopped_at: Date | null;
}

export interface WorkTokenTable {
  token_hash: Buffer;
  organization_id: string;
  work_id: string;
  attempt: number;
  expires_at: Date;
}

export interface WorkPollerTable {
  organization_id: string;
  environment_id: string;
  worker_id: string;
  polled_at: Timestamp;
}

export interface WorkTables {
  work_items: WorkItemTable;
  work_tokens: WorkTokenTable;
  work_pollers: WorkPollerTable;
}

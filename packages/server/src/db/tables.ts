/** The tables as Kysely sees them. The migrations are the truth; a test compares the two. @module */
import type { ColumnType, Generated } from "kysely";
import type { BudgetLimits } from "../loop/budgets.ts";
import type { DeploymentTables } from "./tables/deployments.ts";
import type { BudgetTables } from "./tables/budgets.ts";
import type { EngineTables } from "./tables/engine.ts";
import type { FileTables } from "./tables/files.ts";
import type { MemoryTables } from "./tables/memory.ts";
import type { SandboxTables } from "./tables/sandboxes.ts";
import type { SkillTables } from "./tables/skills.ts";
import type { WaitTables } from "./tables/waits.ts";
import type { WebhookTables } from "./tables/webhooks.ts";
import type { WorkTables } from "./tables/work.ts";

type Timestamp = ColumnType<Date, Date | undefined, Date>;
type Json<T> = ColumnType<T, string, string>;
/** A bigint that is known to stay below 2^53; the driver is set to parse it as a number. */
type Count = ColumnType<number, number | undefined, number>;

export interface OrganizationTable {
  id: string;
  name: string;
  created_at: Timestamp;
}

export interface UserTable {
  id: string;
  organization_id: string;
  external_id: string;
  name: string;
  created_at: Timestamp;
  updated_at: Timestamp;
  archived_at: Date | null;
}

export interface ApiKeyTable {
  id: string;
  organization_id: string;
  name: string;
  key_hash: Buffer;
  scopes: string[];
  environment_id: string | null;
  created_at: Timestamp;
  last_used_at: Date | null;
  revoked_at: Date | null;
  user_id: string | null;
}

export interface AgentTable {
  id: string;
  organization_id: string;
  latest_version: number;
  created_at: Timestamp;
  archived_at: Date | null;
}

export interface AgentVersionTable {
  agent_id: string;
  organization_id: string;
  version: number;
  definition: Json<unknown>;
  created_at: Timestamp;
}

export interface EnvironmentTable {
  id: string;
  organization_id: string;
  name: string;
  description: string | null;
  config: Json<unknown>;
  metadata: Json<Record<string, string>>;
  created_at: Timestamp;
  updated_at: Timestamp;
  archived_at: Date | null;
}

export type SessionStatus = "idle" | "running" | "rescheduling" | "terminated";

export interface SessionTable {
  id: string;
  organization_id: string;
  agent: Json<unknown>;
  agent_id: string;
  agent_version: number;
  environment_id: string;
  title: string | null;
  metadata: Json<Record<string, string>>;
  resources: Json<unknown[]>;
  vault_ids: Json<string[]>;
  parent_session_id: string | null;
  budget: ColumnType<BudgetLimits | null, string | null | undefined, string | null>;
  created_by: ColumnType<string | null, string | null | undefined, never>;
  held_by_budget: Generated<boolean>;
  status: Generated<SessionStatus>;
  epoch: Count;
  head_seq: Count;
  /** Of the loop that last drove the session; 0 before the first. */
  protocol_version: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
  archived_at: Date | null;
  deployment_id: string | null;
  user_id: string | null;
  visibility: Generated<"private" | "shared">;
  untrusted: Generated<boolean>;
}

export interface SessionEventTable {
  session_id: string;
  seq: Count;
  organization_id: string;
  id: string;
  type: string;
  data: Json<Record<string, unknown> | null>;
  record: Json<Record<string, unknown> | null>;
  epoch: Count;
  created_at: Timestamp;
}

export interface SnapshotTable {
  id: string;
  organization_id: string;
  /** Null: the session was deleted. */
  session_id: string | null;
  manifest_sha256: string;
  logical_bytes: Count;
  /** What it added to the blob store. */
  stored_bytes: Count;
  files: number;
  left_out: number;
  parent_id: string | null;
  generation: number;
  /** Keys of all that it needs, its manifest first. */
  blobs: string[];
  kept: Generated<boolean>;
  created_at: Timestamp;
  private_to: string | null;
}

export interface AuditTable {
  id: Generated<number>;
  organization_id: string;
  session_id: string | null;
  at: Timestamp;
  principal: Json<unknown>;
  action: string;
  resource: string;
  decision: "allow" | "ask" | "deny";
  reasons: Json<string[]>;
  digest: string;
}

export interface IdempotentRequestTable {
  organization_id: string;
  key_hash: Buffer;
  fingerprint: Buffer;
  status: number | null;
  answer: Json<unknown>;
  created_at: Timestamp;
}

export interface Tables
  extends
    BudgetTables,
    DeploymentTables,
    EngineTables,
    FileTables,
    MemoryTables,
    SandboxTables,
    SkillTables,
    WaitTables,
    WebhookTables,
    WorkTables {
  organizations: OrganizationTable;
  users: UserTable;
  api_keys: ApiKeyTable;
  agents: AgentTable;
  agent_versions: AgentVersionTable;
  environments: EnvironmentTable;
  sessions: SessionTable;
  session_events: SessionEventTable;
  snapshots: SnapshotTable;
  audit_log: AuditTable;
  idempotent_requests: IdempotentRequestTable;
}

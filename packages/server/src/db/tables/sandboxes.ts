/** Sessions' sandboxes, what keeps them awake, and whose they are. @module */
import type { ColumnType, Generated } from "kysely";
import type { StoredNotice } from "../../sandboxes/notices.ts";

type Timestamp = ColumnType<Date, Date | undefined, Date>;

export interface SandboxTable {
  session_id: string;
  organization_id: string;
  sandbox_id: string | null;
  generation: Generated<number>;
  provider: string;
  state: Generated<"none" | "awake" | "suspended" | "snapshotted" | "gone">;
  released: "idle" | "moved" | "killed" | null;
  used_at: Timestamp;
  awake_since: Date | null;
  running_command: string | null;
  owed_milliseconds: Generated<number>;
  told_command: string | null;
  told_milliseconds: Generated<number>;
  notices: ColumnType<readonly StoredNotice[], string | undefined, string>;
  snapshot_id: string | null;
  snapshot_at: Date | null;
  awake_milliseconds: Generated<number>;
  commands: Generated<number>;
  replacements: Generated<number>;
  resume_milliseconds: Generated<number[]>;
  /** `identifier@generation` of the last commands that anybody was about to start. */
  command_attempts: Generated<string[]>;
  updated_at: Timestamp;
}

export interface SandboxLeaseTable {
  session_id: string;
  command_id: string;
  organization_id: string;
  generation: number;
  command: string;
  started_at: Timestamp;
  until: Date;
  ended_at: Date | null;
  ended: "command_ended" | "expired" | "sandbox_gone" | null;
  /** The last readings by the model, oldest first: the next one begins where the last ended. */
  readings: ColumnType<readonly OutputReading[], string | undefined, string>;
}

/** Bytes of a command's output that a tool call has shown. */
export interface OutputReading {
  readonly by: string;
  readonly from: number;
  readonly to: number;
}

export interface InstallationTable {
  one: Generated<boolean>;
  id: string;
  preview_key: Buffer | null;
}

export interface SandboxTables {
  sandboxes: SandboxTable;
  sandbox_leases: SandboxLeaseTable;
  installation: InstallationTable;
}

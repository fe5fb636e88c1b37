/** Calls that wait for something which another process brings. @module */
import type { ColumnType } from "kysely";

export interface SessionWaitTable {
  session_id: string;
  tool_use_id: string;
  organization_id: string;
  kind: "webhook" | "session";
  target: string;
  created_at: ColumnType<Date, Date | undefined, Date>;
}

export interface WaitTables {
  session_waits: SessionWaitTable;
}

/** The statuses that `sessions list` filters by, without loading the protocol's schemas for `--help`. @module */
import type { SessionStatus } from "@exoloop/protocol/sessions";

export type { SessionStatus };

export const sessionStatuses: readonly SessionStatus[] = ["idle", "running", "rescheduling", "terminated"];

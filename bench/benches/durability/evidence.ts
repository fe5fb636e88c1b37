/** All that the oracle judges by: what clients saw, what the database holds, what lies outside, what was done. @module */
import type { Blow } from "./journal.ts";
import type { PlannedCall } from "./plan.ts";
import type { ClaimEntry, OutsideEntry } from "./worker-messages.ts";

/** A row of `session_events`. */
export interface LoggedEvent {
  readonly sessionId: string;
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  /** Null for records, which streams never show. */
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly record: Readonly<Record<string, unknown>> | null;
  readonly epoch: number;
  readonly at: number;
}

export interface SessionEvidence {
  readonly sessionId: string;
  /** Ordered by number. */
  readonly log: readonly LoggedEvent[];
  /** In the order in which the live client got them; null for a thread, which had none. */
  readonly received: readonly { readonly seq: number; readonly id: string }[] | null;
  readonly acknowledged: readonly { readonly eventId: string; readonly marker: string }[];
  readonly planned: readonly PlannedCall[];
  /** Lines of the stored file that its commands append to. */
  readonly captured: readonly string[];
  /** Paths of stored files → how many versions each has. */
  readonly versions: ReadonlyMap<string, number>;
  /** Why it did not come to its end. */
  readonly stuck: string | null;
}

export interface Evidence {
  readonly sessions: readonly SessionEvidence[];
  readonly outside: readonly OutsideEntry[];
  readonly claims: readonly ClaimEntry[];
  readonly blows: readonly Blow[];
}

export type FindingKind = "lost" | "duplicate" | "double" | "stuck" | "unjustified" | "wrong";

export interface Finding {
  readonly kind: FindingKind;
  readonly sessionId: string | null;
  readonly text: string;
}

/** What the bench and its workers say to each other, and what a worker leaves behind in files. @module */

/** Where a worker ends itself: at the n-th passage of a row of the crash table. */
export interface ArmedPoint {
  /** Of the crash table. */
  readonly row: string;
  readonly passage: number;
  /** For "during": milliseconds after the effect has begun. */
  readonly delayMs: number;
}

export type BenchMessage =
  | { readonly type: "start"; readonly databaseUrl: string; readonly sandboxSocket: string | null }
  | { readonly type: "arm"; readonly point: ArmedPoint };

export type WorkerMessage =
  | { readonly type: "ready"; readonly url: string; readonly firstAdminKey: string | null }
  | { readonly type: "failed"; readonly message: string }
  /** It drives a session's turn. */
  | { readonly type: "claimed" };

/** Names of files in `directory`, which is told to each worker in its environment. */
export const directoryVariable = "DURABILITY_DIRECTORY";
export const outsideFile = "outside.jsonl";
export const claimsFile = "claims.jsonl";
export const deathsFile = "deaths.jsonl";

/** One line of the outside file: the counting tool ran. */
export interface OutsideEntry {
  readonly toolUseId: string;
  readonly pid: number;
  /** Milliseconds since the epoch, as all instants here. */
  readonly at: number;
}

export interface ClaimEntry {
  readonly pid: number;
  readonly sessionId: string;
  readonly epoch: number;
  readonly at: number;
}

/** Written by a worker as its last act. */
export interface DeathEntry {
  readonly pid: number;
  readonly row: string;
  readonly at: number;
}

/** What is measured side by side: an engine with a loop that writes the rows of a step. @module */
import type { Database } from "@exoloop/server/db/database";
import type { Worker } from "./child.ts";

/** Of every worker, whatever its number of turns: more would only wait for the same two cores. */
export const workerConnections = 20;

/** Silence after which every contender takes a worker for dead, in milliseconds. */
export const workerTimeoutMs = 3000;

export interface Contender {
  readonly name: "exoloop" | "DBOS" | "own queue";
  /** A worker of its own process that takes so many turns at a time. */
  startWorker(turns: number): Promise<Worker>;
  /** One message for this session and the wake for it, as the API does it. */
  send(sessionId: string, text: string): Promise<void>;
  close(): Promise<void>;
}

export interface ContenderOptions {
  readonly url: string;
  readonly database: Database;
}

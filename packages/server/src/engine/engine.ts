/**
 * The engine port: it wakes turns and knows nothing of what a turn does. The log is the only checkpoint, so an engine
 * can be replaced without touching a session.
 * @module
 */
import type { Transaction } from "kysely";
import type { Tables } from "../db/tables.ts";

export interface Engine {
  /** Creates what it needs in the database and starts handing turns to `onTurn`, at most `concurrency` at a time. */
  start(onTurn: (turn: { readonly sessionId: string }) => Promise<void>): Promise<void>;
  /**
   * Asks for a turn of this session, in the caller's transaction. Two wakes before a turn starts are one turn; a wake
   * while a turn runs is another turn after it. The caller holds the session's row lock: a turn claims under the same
   * lock, so a wake that found one already waiting cannot be lost.
   */
  wake(sessionId: string, transaction: Transaction<Tables>): Promise<void>;
  /** Asks for a turn at a later instant; survives restarts. */
  wakeAt(sessionId: string, at: Date, transaction: Transaction<Tables>): Promise<void>;
  /** Stops taking turns and waits up to `graceMs` for running ones. */
  stop(graceMs: number): Promise<void>;
}

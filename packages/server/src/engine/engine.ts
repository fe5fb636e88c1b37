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
  /**
   * Does `work` again and again, in one worker at a time, whatever their number; called before `start`. The next run is
   * due so many milliseconds after the last began, and is found within about a second; while nothing is due this costs
   * no query. A run that rejects is logged, and due again after the interval. One whose worker dies is begun by another
   * after the detector's timeout: a worker that only stalled may then still be at it, so the work must bear overlap.
   * @example engine.every("retention", 60_000, () => deleteExpired(database));
   */
  every(name: string, milliseconds: number, work: PeriodicWork): void;
  /** Stops taking turns and waits up to `graceMs` for running ones. */
  stop(graceMs: number): Promise<void>;
}

/** `signal` fires when the worker stops, or has lost the work to another. */
export type PeriodicWork = (signal: AbortSignal) => Promise<void>;

/** Thrown by `onTurn`: another worker may run this turn, this one must not. It is handed out again after a delay. */
export class TurnRefusedError extends Error {
  override readonly name: string = "TurnRefusedError";
}

/**
 * The regular look for due runs, which one worker at a time has. It stays until the next look when an instant comes
 * before that, so that runs are on time though looks are rare.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type DueRunsDependencies, readNextDue, takeDueRuns } from "./due-runs.ts";

/** Between two looks: how late an instant is noticed that was set nearer meanwhile. Milliseconds. */
export const lookInterval = 5_000;

/**
 * Starts what is due, and what comes due within the interval. Ends early when `signal` fires.
 * @example engine.every("deployments", lookInterval, (signal) => lookForDueRuns(dependencies, signal));
 */
export async function lookForDueRuns(dependencies: DueRunsDependencies, signal: AbortSignal): Promise<void> {
  const end = Date.now() + lookInterval;
  while (!signal.aborted) {
    const next = await readNextDue(dependencies.database);
    const now = Date.now();
    const wait = (next.at?.getTime() ?? Infinity) - now;
    if (next.queued || wait <= 0) await takeDueRuns(dependencies, new Date(now));
    // What is queued waits for sessions, which end without telling.
    if (next.queued || now + wait >= end) return;
    // A timer may fire a millisecond early.
    if (wait > 0) await sleep(wait + 1, undefined, { signal }).catch(() => undefined);
  }
}

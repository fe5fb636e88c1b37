/** Sandboxes without use are put away: their workspace is kept, and restored with the next command. @module */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { SandboxDependencies } from "../held-sandbox.ts";
import { findIdle, putAway } from "./unused.ts";

/** One round; periodic work of one worker at a time, and harmless in two. */
export async function putIdleAway(
  dependencies: SandboxDependencies,
  idleSeconds: number,
  signal?: AbortSignal,
): Promise<void> {
  for (const unused of await findIdle(dependencies, idleSeconds)) {
    if (signal?.aborted === true) return;
    // Another machine's.
    if (!dependencies.providers.has(unused.provider)) continue;
    try {
      await putAway(dependencies, unused, { released: "idle" });
    } catch (error) {
      if (error instanceof SandboxGoneError) continue;
      dependencies.log.warn({ session: unused.sessionId, error }, "idle sandbox not put away");
    }
  }
}

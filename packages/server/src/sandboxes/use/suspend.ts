/** Putting a sandbox to sleep that nobody uses, while somebody may be about to use it. @module */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { type HeldSandbox, type SandboxDependencies, publishStatus } from "../held-sandbox.ts";
import { settleUnused } from "./settle.ts";

/**
 * The row first, then the sandbox: a use that begins in between finds the row asleep and thaws it, and what was
 * suspended after that thaw is thawed again here. Dies this process in between, the reconciler finds a row that sleeps
 * and a sandbox that does not.
 */
export async function suspendUnused(dependencies: SandboxDependencies, held: HeldSandbox): Promise<void> {
  if (!(await settleUnused(dependencies, held))) return;
  await suspendIdle(dependencies, held);
}

/** For a row that says that it sleeps. */
export async function suspendIdle(dependencies: SandboxDependencies, held: HeldSandbox): Promise<void> {
  const { owner, sandbox, generation } = held;
  try {
    const { milliseconds } = await sandbox.suspend();
    const row = await dependencies.database
      .selectFrom("sandboxes")
      .select("state")
      .where("session_id", "=", owner.sessionId)
      .where("generation", "=", generation)
      .executeTakeFirst();
    if (row?.state === "awake") await sandbox.resume();
    else publishStatus(dependencies, owner, "suspended", generation, milliseconds);
  } catch (error) {
    if (!(error instanceof SandboxGoneError)) throw error;
  }
}

/** Saving what a background command has changed of stored files, between commands and before its sandbox ends. @module */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { findHeld } from "../life/acquire.ts";
import type { SandboxDependencies } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";
import type { Workspaces } from "../workspaces.ts";
import { suspendIdle } from "./suspend.ts";

/**
 * When no use of the sandbox runs in this process. What runs in it stands still meanwhile, and goes on afterwards. Makes
 * no sandbox. Never rejects: what was not saved is saved with the next command.
 */
export async function saveFiles(
  dependencies: SandboxDependencies & { readonly workspaces: Pick<Workspaces, "alone"> },
  owner: SandboxOwner,
): Promise<void> {
  const save = dependencies.saveFiles;
  if (save === undefined) return;
  try {
    await dependencies.workspaces.alone(owner, async () => {
      const held = await findHeld(dependencies, owner);
      if (held === null) return;
      await held.sandbox.suspend();
      try {
        await save(held);
      } finally {
        await suspendIdle(dependencies, held);
      }
    });
  } catch (error) {
    if (error instanceof SandboxGoneError) return;
    dependencies.log.warn({ session: owner.sessionId, error }, "files of a background command were not saved yet");
  }
}

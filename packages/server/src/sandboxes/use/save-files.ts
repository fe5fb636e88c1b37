/** Saving what a background command has changed of stored files, between commands and before its sandbox ends. @module */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { findHeld } from "../life/acquire.ts";
import type { SandboxDependencies } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";
import type { Workspaces } from "../workspaces.ts";
import { suspendIdle } from "./suspend.ts";

/** A command in the foreground, for which {@link saveFiles} waits, saves them itself when it ends. */
const longestWaitMs = 500;

type Dependencies = SandboxDependencies & { readonly workspaces: Pick<Workspaces, "alone"> };

/** For who is about to look at them: waits half a second at most. */
export async function saveFilesSoon(dependencies: Dependencies, owner: SandboxOwner): Promise<void> {
  const late = new Promise<void>((resolve) => setTimeout(resolve, longestWaitMs).unref());
  await Promise.race([saveFiles(dependencies, owner), late]);
}

/**
 * When no use of the sandbox runs in this process. What runs in it stands still meanwhile, and goes on afterwards. Makes
 * no sandbox. Never rejects: what was not saved is saved with the next command.
 */
export async function saveFiles(dependencies: Dependencies, owner: SandboxOwner): Promise<void> {
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

/** Ends whatever is left of a sandbox, in any state, and removes every trace. @module */
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import { type SandboxCgroups, removeCgroups } from "./cgroups.ts";
import type { SandboxDirectories } from "./state.ts";
import { openSupervisorLink } from "./supervisor-link.ts";
import { processesOf, returnUserId } from "./user-ids.ts";

const rounds = 200;

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    return;
  }
}

/** Every process of a user id that only one sandbox has. */
async function killUser(userId: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const alive = processesOf(userId);
    if (alive.length === 0) return;
    for (const pid of alive) kill(pid);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function removeDirectory(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    await promisify(execFile)("chmod", ["-R", "u+rwX", directory]).catch(() => {});
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Idempotent.
 * @param userId the sandbox's own user id, null when it has none or it is not known.
 */
export async function removeSandbox(
  directories: SandboxDirectories,
  cgroups: SandboxCgroups,
  userId: number | null,
): Promise<void> {
  const link = await openSupervisorLink(directories.socket).catch(() => null);
  await link?.shutdown();
  link?.close();
  await removeCgroups(cgroups);
  if (userId !== null) await killUser(userId);
  await removeDirectory(directories.root);
  if (userId !== null) returnUserId(userId);
}

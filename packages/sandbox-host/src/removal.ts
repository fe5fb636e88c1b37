/** Ends whatever is left of a slot, in any state, and removes every trace. @module */
import { spawn } from "node:child_process";
import { attempt } from "./cgroup-host.ts";
import { type SandboxCgroups, removeCgroups } from "./cgroups.ts";
import type { SlotDirectories } from "./state.ts";
import { openSupervisorLink } from "./supervisor-link.ts";
import { processesOf, processesOfSlot, returnUserId } from "./user-ids.ts";

const rounds = 200;
const shutdownPatienceMs = 1_000;

async function killUntilNone(find: () => number[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const alive = find();
    if (alive.length === 0) return;
    for (const pid of alive) attempt(() => process.kill(pid, "SIGKILL"));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Its complaints may be as many as there are files: nobody reads them. */
function execute(program: string, ...programArguments: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, programArguments, { stdio: "ignore" });
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}`))));
  });
}

/** By rm(1), which walks by descriptors: a workload may have made paths longer than any call takes. */
async function removeDirectory(directory: string): Promise<void> {
  const remove = () => execute("rm", "-rf", "--one-file-system", "--", directory);
  await remove().catch(async () => {
    await execute("chmod", "-R", "u+rwX", "--", directory).catch(() => {});
    await remove();
  });
}

/**
 * Idempotent.
 * @param userId the sandbox's own user id, null when it has none or it is not known.
 */
export async function removeSlot(
  directories: SlotDirectories,
  cgroups: SandboxCgroups,
  userId: number | null,
): Promise<void> {
  if (cgroups.parent === null) {
    const link = await openSupervisorLink(directories.socket, shutdownPatienceMs).catch(() => null);
    await link?.shutdown();
    link?.close();
  }
  await removeCgroups(cgroups);
  // What had not entered its groups yet, or where there are none.
  await killUntilNone(() => (userId === null ? processesOfSlot(directories.slot) : processesOf(userId)));
  await removeDirectory(directories.root);
  // Never that of somebody who lives: it is found free when they have ended.
  if (userId !== null && processesOf(userId).length === 0) returnUserId(userId);
}

/** Ends whatever is left of a slot, in any state, and removes every trace. @module */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { attempt } from "./cgroup-host.ts";
import { type SandboxCgroups, removeCgroups } from "./cgroups.ts";
import type { SlotDirectories } from "./state.ts";
import { openSupervisorLink } from "./supervisor-link.ts";
import { processesOf, processesOfSlot, returnUserId } from "./user-ids.ts";

const rounds = 200;
const shutdownPatienceMs = 1_000;
/** A million files take minutes: whoever removes them waits so long, then they are removed in the background. */
const filesPatienceMs = 2_000;
/** In the background at the same time; with so many, whoever removes more waits for the end. */
const mostSlow = 16;
export const slowRemovals = new Set<Promise<void>>();

async function killUntilNone(find: () => number[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const alive = find();
    if (alive.length === 0) return;
    for (const pid of alive) attempt(() => process.kill(pid, "SIGKILL"));
    await pause(2);
  }
}

/** Its complaints may be as many as there are files: nobody reads them. */
async function execute(program: string, ...programArguments: readonly string[]): Promise<void> {
  const [code] = (await once(spawn(program, programArguments, { stdio: "ignore" }), "exit")) as unknown[];
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}`);
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
 * A slot without a state file is of no use to a later daemon, which goes on with its removal. Meanwhile its user id is
 * nobody else's.
 */
async function removeFiles({ root, state }: SlotDirectories, userId: number | null): Promise<void> {
  rmSync(state, { force: true });
  await removeDirectory(root);
  // Never that of somebody who lives: it is found free when they have ended.
  if (userId !== null && processesOf(userId).length === 0) returnUserId(userId);
}

/**
 * Idempotent. When it returns nothing runs, and no daemon finds the sandbox; many files may still be on the disk.
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
  const removing = removeFiles(directories, userId);
  if (slowRemovals.size >= mostSlow) return removing;
  await Promise.race([removing, pause(filesPatienceMs, undefined, { ref: false })]);
  const ending = removing.catch(
    (error: unknown) => void process.stderr.write(`cannot remove files: ${String(error)}\n`),
  );
  slowRemovals.add(ending);
  void ending.finally(() => slowRemovals.delete(ending));
}

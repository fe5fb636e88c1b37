/**
 * A command and the thaw that lets it begin, sent at once: the supervisor takes the command while the workload still
 * stands still.
 * @module
 */
import type { SandboxProcess, SpawnOptions } from "@exoloop/sandbox/session";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { type HeldSandbox, type SandboxDependencies, publishStatus } from "../held-sandbox.ts";

export type Dispatched =
  | { readonly type: "started"; readonly process: SandboxProcess; readonly resumeMs: number }
  /** The sandbox is gone, and the command certainly never began in it. */
  | { readonly type: "not_begun" };

/**
 * @param wasAsleep Whether the workload stood still until this thaw.
 * @throws SandboxGoneError when the command may have begun; any other error when it has not, or was killed.
 */
export async function dispatch(
  dependencies: SandboxDependencies,
  { owner, sandbox, generation }: HeldSandbox,
  options: SpawnOptions,
  wasAsleep: boolean,
): Promise<Dispatched> {
  publishStatus(dependencies, owner, "waking", generation, 0);
  const [thawed, spawned] = await Promise.allSettled([sandbox.resume(), sandbox.session.spawn(options)]);
  if (thawed.status === "fulfilled" && spawned.status === "fulfilled") {
    const { milliseconds } = thawed.value;
    publishStatus(dependencies, owner, "awake", generation, milliseconds);
    return { type: "started", process: spawned.value, resumeMs: milliseconds };
  }
  // What was sent to a workload that stands still and was never thawed has not begun, though the sandbox had it.
  const neverThawed = wasAsleep && thawed.status === "rejected" && wasNeverReached(thawed.reason);
  const neverSent = spawned.status === "rejected" && wasNeverReached(spawned.reason);
  if (neverThawed || neverSent) return { type: "not_begun" };
  // A command that may still begin is ended: its result would be nobody's.
  if (spawned.status === "fulfilled") await spawned.value.kill().catch(() => undefined);
  throw thawed.status === "rejected" ? thawed.reason : spawned.status === "rejected" ? spawned.reason : new Error();
}

function wasNeverReached(error: unknown): boolean {
  return error instanceof SandboxGoneError && !error.reached;
}

/** When snapshots are taken: after whatever may have changed the workspace, one at a time, while nothing waits for it. @module */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { findHeld } from "../life/acquire.ts";
import type { SandboxDependencies } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";
import type { Captured, Turnstile } from "./turnstiles.ts";
import { suspendIdle } from "./suspend.ts";

const longestSnapshotWaitMs = 1_000;
const longestCaptureMs = 30_000;

export async function waitForSnapshot(
  { log }: SandboxDependencies,
  turnstile: Turnstile,
  owner: SandboxOwner,
): Promise<void> {
  if (turnstile.snapshot === null) return;
  const timeout = new Promise<"late">((resolve) => setTimeout(resolve, longestSnapshotWaitMs, "late").unref());
  if ((await Promise.race([turnstile.snapshot, timeout])) === "late") {
    log.warn({ session: owner.sessionId }, "snapshot_behind");
  }
}

export function snapshotSoon(dependencies: SandboxDependencies, turnstile: Turnstile, captured: Captured): void {
  if (turnstile.snapshot !== null) {
    turnstile.next = captured;
    return;
  }
  turnstile.snapshot = takeStill(dependencies, captured)
    .catch((error: unknown) => {
      const gone = error instanceof SandboxGoneError;
      const session = captured.held.owner.sessionId;
      dependencies.log[gone ? "debug" : "error"]({ session, error }, "snapshot failed");
    })
    .finally(() => {
      const { next } = turnstile;
      turnstile.snapshot = turnstile.next = null;
      if (next !== null && !turnstile.changing) snapshotSoon(dependencies, turnstile, next);
    });
}

/** A background command stands still while it is read under it; it goes on afterwards, or with the next command. */
export async function takeStill(dependencies: SandboxDependencies, { held, leased }: Captured): Promise<void> {
  if (leased) await held.sandbox.suspend();
  try {
    await dependencies.snapshots.take(held);
  } finally {
    if (leased) await suspendIdle(dependencies, held);
  }
}

export async function captureNow(
  dependencies: SandboxDependencies,
  turnstile: Turnstile | undefined,
  owner: SandboxOwner,
): Promise<void> {
  const captured = async () => {
    await turnstile?.tail;
    while (turnstile !== undefined && turnstile.snapshot !== null) await turnstile.snapshot;
    // Another worker may have run the last command and died before its snapshot.
    const held = await findHeld(dependencies, owner);
    if (held !== null) await dependencies.snapshots.take(held);
  };
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, longestCaptureMs).unref());
  await Promise.race([captured(), timeout]).catch((error: unknown) => {
    dependencies.log.warn({ session: owner.sessionId, error }, "snapshot failed");
  });
}

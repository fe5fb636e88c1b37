/** When snapshots are taken: after whatever may have changed the workspace, one at a time, while nothing waits for it. @module */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { findLease } from "../life/acquire.ts";
import type { LeaseDependencies } from "../lease.ts";
import type { SandboxOwner } from "../workspace.ts";
import type { Captured, Slot } from "./slots.ts";
import { suspendIdle } from "./suspend.ts";

const longestSnapshotWaitMs = 1_000;
const longestCaptureMs = 30_000;

export async function waitForSnapshot({ log }: LeaseDependencies, slot: Slot, owner: SandboxOwner): Promise<void> {
  if (slot.snapshot === null) return;
  const timeout = new Promise<"late">((resolve) => setTimeout(resolve, longestSnapshotWaitMs, "late").unref());
  if ((await Promise.race([slot.snapshot, timeout])) === "late") {
    log.warn({ session: owner.sessionId }, "snapshot_behind");
  }
}

export function snapshotSoon(dependencies: LeaseDependencies, slot: Slot, captured: Captured): void {
  if (slot.snapshot !== null) {
    slot.next = captured;
    return;
  }
  slot.snapshot = takeStill(dependencies, captured)
    .catch((error: unknown) => {
      const gone = error instanceof SandboxGoneError;
      const session = captured.lease.owner.sessionId;
      dependencies.log[gone ? "debug" : "error"]({ session, error }, "snapshot failed");
    })
    .finally(() => {
      const { next } = slot;
      slot.snapshot = slot.next = null;
      if (next !== null && !slot.changing) snapshotSoon(dependencies, slot, next);
    });
}

/** A background command stands still while it is read under it; it goes on afterwards, or with the next command. */
export async function takeStill(dependencies: LeaseDependencies, { lease, leased }: Captured): Promise<void> {
  if (leased) await lease.sandbox.suspend();
  try {
    await dependencies.snapshots.take(lease);
  } finally {
    if (leased) await suspendIdle(dependencies, lease);
  }
}

export async function captureNow(
  dependencies: LeaseDependencies,
  slot: Slot | undefined,
  owner: SandboxOwner,
): Promise<void> {
  const captured = async () => {
    await slot?.tail;
    while (slot !== undefined && slot.snapshot !== null) await slot.snapshot;
    // Another worker may have run the last command and died before its snapshot.
    const lease = await findLease(dependencies, owner);
    if (lease !== null) await dependencies.snapshots.take(lease);
  };
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, longestCaptureMs).unref());
  await Promise.race([captured(), timeout]).catch((error: unknown) => {
    dependencies.log.warn({ session: owner.sessionId, error }, "snapshot failed");
  });
}

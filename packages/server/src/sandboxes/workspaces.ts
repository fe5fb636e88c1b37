/**
 * The sandboxes of this worker's sessions. One user at a time per session; a snapshot follows whatever may have changed
 * the workspace, and the next command waits for it up to a second.
 * @module
 */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import type { Logger } from "../telemetry/logger.ts";
import { acquire, findLease, type Lease, type LeaseDependencies, type Replacement } from "./lease.ts";
import { takeSnapshot } from "./snapshot.ts";
import type { SandboxOwner, Workspace } from "./workspace.ts";

const longestSnapshotWaitMs = 1_000;
const longestCaptureMs = 30_000;

export interface Workspaces {
  /**
   * Runs `use` with the session's sandbox, alone. When the sandbox is gone before `use` began, another takes its place;
   * when it goes while `use` runs, `use` rejects with SandboxGoneError: only the caller knows what may be repeated.
   */
  use<Result>(
    owner: SandboxOwner,
    options: { readonly mayChange: boolean },
    use: (lease: Lease, replacement: Replacement | null) => Promise<Result>,
  ): Promise<Result>;
  /** The same for file operations alone. */
  useFiles<Result>(
    owner: SandboxOwner,
    options: { readonly mayChange: boolean },
    use: (workspace: Workspace) => Promise<Result>,
  ): Promise<Result>;
  /** Destroys the session's sandbox, also under a running command. Its last snapshot stays. */
  release(owner: SandboxOwner): Promise<void>;
  /**
   * Waits until the last snapshot is of the workspace as it is now, up to half a minute: whoever starts from a copy sees
   * what was done before. Makes no sandbox; the snapshot that there is stays where its sandbox is gone. Never rejects.
   */
  capture(owner: SandboxOwner): Promise<void>;
  /** Waits for snapshots that are being taken. */
  settle(): Promise<void>;
}

interface Slot {
  /** The end of the last use: the next one begins after it. */
  tail: Promise<void>;
  snapshot: Promise<void> | null;
  /** What is to be captured once `snapshot` has ended: two at once could end in the wrong order. */
  next: Lease | null;
  /** A use that may change the workspace runs: a snapshot follows it. */
  changing: boolean;
}

export function createWorkspaces(dependencies: LeaseDependencies & { readonly log: Logger }): Workspaces {
  const slots = new Map<string, Slot>();

  const waitForSnapshot = async (slot: Slot, owner: SandboxOwner): Promise<void> => {
    if (slot.snapshot === null) return;
    const timeout = new Promise<"late">((resolve) => setTimeout(resolve, longestSnapshotWaitMs, "late").unref());
    if ((await Promise.race([slot.snapshot, timeout])) === "late") {
      dependencies.log.warn({ session: owner.sessionId }, "snapshot_behind");
    }
  };

  const workspaces: Workspaces = {
    useFiles: (owner, options, use) => workspaces.use(owner, options, (lease) => use(workspaceOf(lease))),
    async use(owner, options, use) {
      const slot = slots.get(owner.sessionId) ?? {
        tail: Promise.resolve(),
        snapshot: null,
        next: null,
        changing: false,
      };
      slots.set(owner.sessionId, slot);
      const turn = slot.tail.then(async () => {
        await waitForSnapshot(slot, owner);
        const { lease, replacement } = await acquire(dependencies, owner);
        slot.changing = options.mayChange;
        try {
          return await use(lease, replacement);
        } finally {
          slot.changing = false;
          if (options.mayChange) snapshotSoon(dependencies, slot, lease);
        }
      });
      slot.tail = turn.then(
        () => undefined,
        () => undefined,
      );
      return turn;
    },
    async release(owner) {
      slots.delete(owner.sessionId);
      await destroyCurrent(dependencies, owner);
    },
    capture: (owner) => captureNow(dependencies, slots.get(owner.sessionId), owner),
    async settle() {
      for (const slot of slots.values()) {
        await slot.tail;
        while (slot.snapshot !== null) await slot.snapshot;
      }
    },
  };
  return workspaces;
}

async function captureNow(
  dependencies: LeaseDependencies & { readonly log: Logger },
  slot: Slot | undefined,
  owner: SandboxOwner,
): Promise<void> {
  const captured = async () => {
    await slot?.tail;
    while (slot !== undefined && slot.snapshot !== null) await slot.snapshot;
    // Another worker may have run the last command and died before its snapshot.
    const lease = await findLease(dependencies, owner);
    if (lease !== null) await takeSnapshot(dependencies, lease);
  };
  const timeout = new Promise<void>((resolve) => setTimeout(resolve, longestCaptureMs).unref());
  await Promise.race([captured(), timeout]).catch((error: unknown) => {
    dependencies.log.warn({ session: owner.sessionId, error }, "snapshot failed");
  });
}

function snapshotSoon(dependencies: LeaseDependencies & { readonly log: Logger }, slot: Slot, lease: Lease): void {
  if (slot.snapshot !== null) {
    slot.next = lease;
    return;
  }
  slot.snapshot = takeSnapshot(dependencies, lease)
    .catch((error: unknown) => {
      const gone = error instanceof SandboxGoneError;
      dependencies.log[gone ? "debug" : "error"]({ session: lease.owner.sessionId, error }, "snapshot failed");
    })
    .finally(() => {
      const { next } = slot;
      slot.snapshot = slot.next = null;
      if (next !== null && !slot.changing) snapshotSoon(dependencies, slot, next);
    });
}

/** What a lease lets others do: use the sandbox, not end it. */
export function workspaceOf(lease: Lease): Workspace {
  return { sandboxId: lease.sandbox.reference.id, generation: lease.generation, session: lease.sandbox.session };
}

async function destroyCurrent({ database, provider }: LeaseDependencies, owner: SandboxOwner): Promise<void> {
  const row = await database
    .selectFrom("sandboxes")
    .select("sandbox_id")
    .where("session_id", "=", owner.sessionId)
    .executeTakeFirst();
  if (row?.sandbox_id === undefined || row.sandbox_id === null) return;
  try {
    const sandbox = await provider.attach({ provider: provider.id, id: row.sandbox_id });
    await sandbox.destroy();
    await database
      .updateTable("sandboxes")
      .set({ sandbox_id: null, state: "gone" })
      .where("session_id", "=", owner.sessionId)
      .execute();
  } catch (error) {
    if (!(error instanceof SandboxGoneError)) throw error;
  }
}

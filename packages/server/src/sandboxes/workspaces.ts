/**
 * The sandboxes of this worker's sessions. One user at a time per session; a snapshot follows whatever may have changed
 * the workspace, and the next command waits for it up to a second.
 * @module
 */
import { acquire } from "./life/acquire.ts";
import { releaseSandbox } from "./life/end.ts";
import { type HeldSandbox, type SandboxDependencies, workspaceOf } from "./held-sandbox.ts";
import { captureNow, snapshotSoon, waitForSnapshot } from "./use/capture.ts";
import { createExpectations } from "./use/expectations.ts";
import { createTurnstiles } from "./use/turnstiles.ts";
import type { SandboxOwner, Workspace } from "./workspace.ts";

/** A use of the session's sandbox, alone. */
export interface Turn {
  readonly held: HeldSandbox;
  /** The held sandbox was found or made for this turn, not remembered from an earlier one. */
  readonly fresh: boolean;
  /** A background command goes on in the sandbox afterwards: a snapshot must stop it for as long as it reads. */
  leased: boolean;
  /** Finds the sandbox again, or makes the next generation. */
  renew(): Promise<HeldSandbox>;
}

export interface Workspaces {
  /**
   * Runs `use` with the session's sandbox, alone. When the sandbox is gone before `use` began, another takes its place;
   * when it goes while `use` runs, `use` rejects with SandboxGoneError: only the caller knows what may be repeated.
   * @param options.remembered The held sandbox may be one of an earlier turn: `use` finds out itself whether it still holds.
   */
  use<Result>(
    owner: SandboxOwner,
    options: { readonly mayChange: boolean; readonly remembered?: boolean },
    use: (turn: Turn) => Promise<Result>,
  ): Promise<Result>;
  /** The same for file operations alone. */
  useFiles<Result>(
    owner: SandboxOwner,
    options: { readonly mayChange: boolean },
    use: (workspace: Workspace) => Promise<Result>,
  ): Promise<Result>;
  /** A command is about to come: its sandbox is made and thawed meanwhile. Never rejects, and nobody waits for it. */
  expect(owner: SandboxOwner): void;
  /** It does not come. */
  withdraw(owner: SandboxOwner): void;
  /** Runs `work` when no use runs and no snapshot is taken in this process; the sandbox is not looked for. */
  alone<Result>(owner: SandboxOwner, work: () => Promise<Result>): Promise<Result>;
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

/** @param options For tests: how long turnstiles stay and expectations hold, in milliseconds. */
export function createWorkspaces(
  dependencies: SandboxDependencies,
  options: { readonly lingerMs?: number; readonly expectationMs?: number } = {},
): Workspaces {
  const turnstiles = createTurnstiles(options.lingerMs ?? 300_000);
  const expectations = createExpectations(dependencies, turnstiles, options.expectationMs ?? 10_000);
  const workspaces: Workspaces = {
    use: (owner, { mayChange, remembered = false }, use) =>
      turnstiles.enter(owner, async (turnstile) => {
        await waitForSnapshot(dependencies, turnstile, owner);
        let fresh = !remembered || turnstile.held === null;
        let held = fresh || turnstile.held === null ? await acquire(dependencies, owner) : turnstile.held;
        turnstile.held = held;
        const turn: Turn = {
          leased: false,
          get held() {
            return held;
          },
          get fresh() {
            return fresh;
          },
          async renew() {
            fresh = true;
            turnstile.held = null;
            turnstile.held = held = await acquire(dependencies, owner);
            return held;
          },
        };
        turnstile.changing = mayChange;
        try {
          return await use(turn);
        } finally {
          turnstile.changing = false;
          if (mayChange) snapshotSoon(dependencies, turnstile, { held, leased: turn.leased });
        }
      }),
    useFiles: (owner, options, use) => workspaces.use(owner, options, ({ held }) => use(workspaceOf(held))),
    expect: expectations.expect,
    withdraw: expectations.withdraw,
    alone: (owner, work) =>
      turnstiles.enter(owner, async (turnstile) => {
        while (turnstile.snapshot !== null) await turnstile.snapshot;
        turnstile.held = null;
        return work();
      }),
    async release(owner) {
      turnstiles.forget(owner);
      await releaseSandbox(dependencies, owner);
    },
    capture: (owner) => captureNow(dependencies, turnstiles.find(owner), owner),
    async settle() {
      for (const turnstile of turnstiles.all()) {
        await turnstile.tail;
        while (turnstile.snapshot !== null) await turnstile.snapshot;
      }
    },
  };
  return workspaces;
}

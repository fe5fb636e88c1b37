/**
 * The early wake: the model's stream has opened a call that needs the sandbox. It is made and thawed while the call's
 * arguments still arrive, and put to sleep again when no command comes.
 * @module
 */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { acquire } from "../life/acquire.ts";
import type { LeaseDependencies } from "../lease.ts";
import type { SandboxOwner } from "../workspace.ts";
import { waitForSnapshot } from "./capture.ts";
import type { Slot, Slots } from "./slots.ts";
import { suspendUnused } from "./suspend.ts";
import { thaw } from "./thaw.ts";

export interface Expectations {
  expect(owner: SandboxOwner): void;
  withdraw(owner: SandboxOwner): void;
}

/** @param holdMs After so long without a command the sandbox sleeps again. */
export function createExpectations(dependencies: LeaseDependencies, slots: Slots, holdMs: number): Expectations {
  const { log } = dependencies;
  const drop = (slot: Slot, owner: SandboxOwner) => {
    if (slot.expectation === null) return;
    clearTimeout(slot.expectation);
    slot.expectation = null;
    const { lease } = slot;
    if (lease === null) return;
    // A command that has come meanwhile puts the sandbox to sleep itself.
    suspendUnused(dependencies, lease).catch((error: unknown) => {
      log.debug({ session: owner.sessionId, error }, "sandbox that was expected to be used not suspended");
    });
  };
  return {
    expect(owner) {
      const found = slots.find(owner);
      if (found !== undefined && found.users > 0) {
        found.expectation?.refresh();
        return;
      }
      slots
        .enter(owner, async (slot) => {
          if (slot.expectation !== null) clearTimeout(slot.expectation);
          slot.expectation = setTimeout(drop, holdMs, slot, owner).unref();
          await waitForSnapshot(dependencies, slot, owner);
          await wake(dependencies, slot, owner);
        })
        .catch((error: unknown) => log.debug({ session: owner.sessionId, error }, "sandbox not woken early"));
    },
    withdraw(owner) {
      const slot = slots.find(owner);
      if (slot !== undefined)
        slot.tail.then(
          () => drop(slot, owner),
          () => undefined,
        );
    },
  };
}

/** The row says awake before the sandbox is: a command that finds a row asleep knows that nothing has begun in it. */
async function wake(dependencies: LeaseDependencies, slot: Slot, owner: SandboxOwner): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const lease = slot.lease ?? (await acquire(dependencies, owner));
    slot.lease = lease;
    try {
      if (await thaw(dependencies, lease)) return;
    } catch (error) {
      if (!(error instanceof SandboxGoneError)) throw error;
    }
    slot.lease = null;
  }
}

/**
 * The early wake: the model's stream has opened a call that needs the sandbox. It is made and thawed while the call's
 * arguments still arrive, and put to sleep again when no command comes.
 * @module
 */
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { acquire } from "../life/acquire.ts";
import type { SandboxDependencies } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";
import { waitForSnapshot } from "./capture.ts";
import type { Turnstile, Turnstiles } from "./turnstiles.ts";
import { suspendUnused } from "./suspend.ts";
import { thaw } from "./thaw.ts";

export interface Expectations {
  expect(owner: SandboxOwner): void;
  withdraw(owner: SandboxOwner): void;
}

/** @param holdMs After so long without a command the sandbox sleeps again. */
export function createExpectations(
  dependencies: SandboxDependencies,
  turnstiles: Turnstiles,
  holdMs: number,
): Expectations {
  const { log } = dependencies;
  const drop = (turnstile: Turnstile, owner: SandboxOwner) => {
    if (turnstile.expectation === null) return;
    clearTimeout(turnstile.expectation);
    turnstile.expectation = null;
    const { held } = turnstile;
    if (held === null) return;
    // A command that has come meanwhile puts the sandbox to sleep itself.
    suspendUnused(dependencies, held).catch((error: unknown) => {
      log.debug({ session: owner.sessionId, error }, "sandbox that was expected to be used not suspended");
    });
  };
  return {
    expect(owner) {
      const found = turnstiles.find(owner);
      if (found !== undefined && found.users > 0) {
        found.expectation?.refresh();
        return;
      }
      turnstiles
        .enter(owner, async (turnstile) => {
          if (turnstile.expectation !== null) clearTimeout(turnstile.expectation);
          turnstile.expectation = setTimeout(drop, holdMs, turnstile, owner).unref();
          await waitForSnapshot(dependencies, turnstile, owner);
          await wake(dependencies, turnstile, owner);
        })
        .catch((error: unknown) => log.debug({ session: owner.sessionId, error }, "sandbox not woken early"));
    },
    withdraw(owner) {
      const turnstile = turnstiles.find(owner);
      if (turnstile !== undefined)
        turnstile.tail.then(
          () => drop(turnstile, owner),
          () => undefined,
        );
    },
  };
}

/** The row says awake before the sandbox is: a command that finds a row asleep knows that nothing has begun in it. */
async function wake(dependencies: SandboxDependencies, turnstile: Turnstile, owner: SandboxOwner): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const held = turnstile.held ?? (await acquire(dependencies, owner));
    turnstile.held = held;
    try {
      if (await thaw(dependencies, held)) return;
    } catch (error) {
      if (!(error instanceof SandboxGoneError)) throw error;
    }
    turnstile.held = null;
  }
}

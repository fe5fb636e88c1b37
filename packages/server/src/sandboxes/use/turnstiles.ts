/** One user at a time for each session's sandbox in this process, and what the process remembers between them. @module */
import type { HeldSandbox } from "../held-sandbox.ts";
import type { SandboxOwner } from "../workspace.ts";

/** What a snapshot is to be taken of. */
export interface Captured {
  readonly held: HeldSandbox;
  /** A background command runs in it. */
  readonly leased: boolean;
}

export interface Turnstile {
  /** The end of the last use: the next one begins after it. Never rejects. */
  tail: Promise<void>;
  /** Uses that run or wait. */
  users: number;
  /** The sandbox as the last use found it. */
  held: HeldSandbox | null;
  snapshot: Promise<void> | null;
  /** What is to be captured once `snapshot` has ended: two at once could end in the wrong order. */
  next: Captured | null;
  /** A use that may change the workspace runs: a snapshot follows it. */
  changing: boolean;
  /** Until when a command is expected. */
  expectation: NodeJS.Timeout | null;
  lingering: NodeJS.Timeout | null;
}

export interface Turnstiles {
  enter<Result>(owner: SandboxOwner, use: (turnstile: Turnstile) => Promise<Result>): Promise<Result>;
  find(owner: SandboxOwner): Turnstile | undefined;
  all(): readonly Turnstile[];
  forget(owner: SandboxOwner): void;
}

/** @param lingerMs After so long without use a turnstile is forgotten. */
export function createTurnstiles(lingerMs: number): Turnstiles {
  const turnstiles = new Map<string, Turnstile>();
  const leave = (sessionId: string, turnstile: Turnstile) => {
    turnstile.users -= 1;
    if (turnstile.users > 0) return;
    turnstile.lingering = setTimeout(() => {
      if (turnstile.snapshot !== null || turnstile.expectation !== null) turnstile.lingering?.refresh();
      else if (turnstiles.get(sessionId) === turnstile) turnstiles.delete(sessionId);
    }, lingerMs).unref();
  };
  return {
    enter({ sessionId }, use) {
      const turnstile = turnstiles.get(sessionId) ?? newTurnstile();
      turnstiles.set(sessionId, turnstile);
      if (turnstile.lingering !== null) clearTimeout(turnstile.lingering);
      turnstile.users += 1;
      const turn = turnstile.tail.then(() => use(turnstile)).finally(() => leave(sessionId, turnstile));
      turnstile.tail = turn.then(
        () => undefined,
        () => undefined,
      );
      return turn;
    },
    find: ({ sessionId }) => turnstiles.get(sessionId),
    all: () => [...turnstiles.values()],
    forget: ({ sessionId }) => void turnstiles.delete(sessionId),
  };
}

function newTurnstile(): Turnstile {
  return {
    tail: Promise.resolve(),
    users: 0,
    held: null,
    snapshot: null,
    next: null,
    changing: false,
    expectation: null,
    lingering: null,
  };
}

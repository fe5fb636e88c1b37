/** One user at a time for each session's sandbox in this process, and what the process remembers between them. @module */
import type { Lease } from "../lease.ts";
import type { SandboxOwner } from "../workspace.ts";

/** What a snapshot is to be taken of. */
export interface Captured {
  readonly lease: Lease;
  /** A background command runs in it. */
  readonly leased: boolean;
}

export interface Slot {
  /** The end of the last use: the next one begins after it. Never rejects. */
  tail: Promise<void>;
  /** Uses that run or wait. */
  users: number;
  /** The sandbox as the last use found it. */
  lease: Lease | null;
  snapshot: Promise<void> | null;
  /** What is to be captured once `snapshot` has ended: two at once could end in the wrong order. */
  next: Captured | null;
  /** A use that may change the workspace runs: a snapshot follows it. */
  changing: boolean;
  /** Until when a command is expected. */
  expectation: NodeJS.Timeout | null;
  lingering: NodeJS.Timeout | null;
}

export interface Slots {
  enter<Result>(owner: SandboxOwner, use: (slot: Slot) => Promise<Result>): Promise<Result>;
  find(owner: SandboxOwner): Slot | undefined;
  all(): readonly Slot[];
  forget(owner: SandboxOwner): void;
}

/** @param lingerMs After so long without use a slot is forgotten. */
export function createSlots(lingerMs: number): Slots {
  const slots = new Map<string, Slot>();
  const leave = (sessionId: string, slot: Slot) => {
    slot.users -= 1;
    if (slot.users > 0) return;
    slot.lingering = setTimeout(() => {
      if (slot.snapshot !== null || slot.expectation !== null) slot.lingering?.refresh();
      else if (slots.get(sessionId) === slot) slots.delete(sessionId);
    }, lingerMs).unref();
  };
  return {
    enter({ sessionId }, use) {
      const slot = slots.get(sessionId) ?? emptySlot();
      slots.set(sessionId, slot);
      if (slot.lingering !== null) clearTimeout(slot.lingering);
      slot.users += 1;
      const turn = slot.tail.then(() => use(slot)).finally(() => leave(sessionId, slot));
      slot.tail = turn.then(
        () => undefined,
        () => undefined,
      );
      return turn;
    },
    find: ({ sessionId }) => slots.get(sessionId),
    all: () => [...slots.values()],
    forget: ({ sessionId }) => void slots.delete(sessionId),
  };
}

function emptySlot(): Slot {
  return {
    tail: Promise.resolve(),
    users: 0,
    lease: null,
    snapshot: null,
    next: null,
    changing: false,
    expectation: null,
    lingering: null,
  };
}

/** Sandboxes that are ready before anybody asks: made like the latest request says, suspended, nobody's. @module */
import { isDeepStrictEqual } from "node:util";
import type { Slot } from "./slot.ts";
import type { SlotKeeper } from "./slots.ts";
import type { SandboxMake } from "./state.ts";

/** Whoever took one, or made one, runs its first command in this time. */
const refillPauseMs = 50;
/** After one that could not be made. */
const failurePauseMs = 5_000;

interface Shelf {
  readonly make: SandboxMake;
  readonly count: number;
  readonly slots: Slot[];
}

export class WarmPool {
  readonly #keeper: SlotKeeper;
  /** By runtime. */
  readonly #shelves = new Map<string, Shelf>();
  #timer: NodeJS.Timeout | null = null;
  #filling: Promise<void> = Promise.resolve();
  #creating = 0;
  #closed = false;

  constructor(keeper: SlotKeeper) {
    this.#keeper = keeper;
  }

  /** Those that are not alike any more, or too many, are removed in the background. */
  request(make: SandboxMake, count: number): void {
    const { make: made, slots } = this.#shelves.get(make.runtime) ?? { make, slots: [] };
    for (const slot of slots.splice(isDeepStrictEqual(made, make) ? count : 0)) this.#drop(slot);
    this.#shelves.set(make.runtime, { make, count, slots });
    this.#schedule(0);
  }

  /** A living one that is alike; it is the caller's. */
  take(make: SandboxMake): Slot | null {
    const shelf = this.#shelves.get(make.runtime);
    if (shelf === undefined || !isDeepStrictEqual(shelf.make, make)) return null;
    for (let slot = shelf.slots.shift(); slot !== undefined; slot = shelf.slots.shift()) {
      this.#schedule(refillPauseMs);
      if (!slot.link.closed) return slot;
      this.#drop(slot);
    }
    return null;
  }

  /** Filling waits while somebody waits for a sandbox. */
  async whileCreating<T>(work: () => Promise<T>): Promise<T> {
    this.#creating++;
    try {
      return await work();
    } finally {
      this.#creating--;
      this.#schedule(refillPauseMs);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#filling;
    const slots = [...this.#shelves.values()].flatMap((shelf) => shelf.slots.splice(0));
    await Promise.allSettled(slots.map((slot) => this.#keeper.remove(slot)));
  }

  #schedule(pauseMs: number): void {
    if (this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#filling = this.#filling.then(() => this.#addOne());
    }, pauseMs);
  }

  async #addOne(): Promise<void> {
    const shelf = [...this.#shelves.values()].find(({ count, slots }) => slots.length < count);
    if (shelf === undefined || this.#creating > 0 || this.#closed) return;
    try {
      const slot = await this.#keeper.start(shelf.make, { id: null, owner: "", createdAt: Date.now() });
      const current = this.#shelves.get(shelf.make.runtime);
      if (current?.make === shelf.make && current.slots.length < current.count) this.#shelve(current, slot);
      else this.#drop(slot);
      this.#schedule(0);
    } catch (error) {
      process.stderr.write(`cannot fill the pool: ${String(error)}\n`);
      this.#schedule(failurePauseMs);
    }
  }

  #shelve(shelf: Shelf, slot: Slot): void {
    shelf.slots.push(slot);
    slot.link.onClose(() => {
      const at = shelf.slots.indexOf(slot);
      if (at < 0 || this.#closed) return;
      shelf.slots.splice(at, 1);
      this.#drop(slot);
      this.#schedule(failurePauseMs);
    });
  }

  #drop(slot: Slot): void {
    this.#keeper.remove(slot).catch((error: unknown) => {
      process.stderr.write(`cannot remove ${slot.state.slot}: ${String(error)}\n`);
    });
  }
}

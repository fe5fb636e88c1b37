/**
 * Room for packs while they are compressed and stored, shared by all snapshots of a process: one takes about 10 MiB,
 * and as many may be taken at a time as there are sessions.
 * @module
 */
import { maximumPackBytes } from "./manifest.ts";

export interface PackPlaces {
  /** Resolves when there is a place; first come, first served. */
  enter(): Promise<void>;
  leave(): void;
  /** As large as a pack. */
  takeBuffer(): Buffer;
  giveBack(buffer: Buffer): void;
}

/** @example const places = createPackPlaces(4); await places.enter(); try { … } finally { places.leave(); } */
export function createPackPlaces(count: number): PackPlaces {
  const waiting: (() => void)[] = [];
  const spare: Buffer[] = [];
  let free = count;
  return {
    enter() {
      if (free === 0) return new Promise((resolve) => void waiting.push(resolve));
      free -= 1;
      return Promise.resolve();
    },
    leave() {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
    takeBuffer: () => spare.pop() ?? Buffer.allocUnsafeSlow(maximumPackBytes),
    giveBack(buffer) {
      if (spare.length < count) spare.push(buffer);
    },
  };
}

/** Chance that can be repeated: the same seed gives the same numbers. @module */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, end). */
  below(end: number): number;
  chance(probability: number): boolean;
  /** @throws Error when there is nothing to pick. */
  pick<Item>(items: readonly Item[]): Item;
}

/** Mulberry32. @example createRandom(7).below(10) */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick<Item>(items: readonly Item[]) {
      if (items.length === 0) throw new Error("there is nothing to pick");
      return items[below(items.length)] as Item;
    },
  };
}

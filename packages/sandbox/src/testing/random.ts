/** Chance that can be repeated, for tests and benches: the same seed gives the same numbers, everywhere. @module */

export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, end). */
  below(end: number): number;
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  /** @throws RangeError when there is nothing to pick. */
  pick<Item>(items: readonly Item[]): Item;
}

/**
 * Mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
 * @example createRandom(7).below(10)
 */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(next() * end);
  return {
    next,
    below,
    between: (least, most) => least + below(most - least + 1),
    chance: (probability) => next() < probability,
    pick<Item>(items: readonly Item[]) {
      if (items.length === 0) throw new RangeError("there is nothing to pick from");
      return items[below(items.length)] as Item;
    },
  };
}

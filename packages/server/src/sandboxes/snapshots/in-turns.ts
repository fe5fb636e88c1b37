/** Work on long lists that lets everybody else have their turn in between. @module */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Work on so many takes a few milliseconds. */
const atATime = 4_096;

/** @example for await (const some of inTurns(files)) for (const file of some) count(file); */
export async function* inTurns<Item>(items: readonly Item[]): AsyncGenerator<readonly Item[]> {
  for (let from = 0; from < items.length; from += atATime) {
    if (from > 0) await nextTurn();
    yield items.length <= atATime ? items : items.slice(from, from + atATime);
  }
}

interface Named {
  readonly path: string;
}

const byPath = (one: Named, other: Named): number => (one.path < other.path ? -1 : 1);

/** By path, as texts are compared: a directory comes before what is in it. */
export async function sortedByPath<Item extends Named>(items: readonly Item[]): Promise<readonly Item[]> {
  let runs: (readonly Item[])[] = [];
  for await (const some of inTurns(items)) runs.push(some.toSorted(byPath));
  while (runs.length > 1) {
    const merged: (readonly Item[])[] = [];
    for (let index = 0; index < runs.length; index += 2) {
      merged.push(await merge(runs[index] ?? [], runs[index + 1] ?? []));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<Item extends Named>(left: readonly Item[], right: readonly Item[]): Promise<readonly Item[]> {
  if (right.length === 0) return left;
  const merged: Item[] = [];
  let at = 0;
  for await (const some of inTurns(left)) {
    for (const item of some) {
      for (let next = right[at]; next !== undefined && byPath(next, item) < 0; next = right[at]) {
        merged.push(next);
        at += 1;
      }
      merged.push(item);
    }
  }
  for (; at < right.length; at += 1) merged.push(...right.slice(at, at + 1));
  return merged;
}

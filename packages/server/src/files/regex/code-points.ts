/** Sets of Unicode code points, as the character classes of a pattern denote them. Pure. @module */

/** First and last code point of each range, in ascending order, with a gap between any two ranges. */
export type CodePoints = readonly (readonly [first: number, last: number])[];

export const highestCodePoint = 0x10ffff;

/** Ranges in any order, which may overlap. */
export function codePointsOf(ranges: CodePoints): CodePoints {
  const joined: [number, number][] = [];
  for (const [first, last] of ranges.toSorted((left, right) => left[0] - right[0])) {
    const previous = joined.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else joined.push([first, last]);
  }
  return joined;
}

export function union(...sets: readonly CodePoints[]): CodePoints {
  return codePointsOf(sets.flat());
}

export function complement(set: CodePoints): CodePoints {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [first, last] of set) {
    if (first > next) gaps.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= highestCodePoint) gaps.push([next, highestCodePoint]);
  return gaps;
}

export function intersection(left: CodePoints, right: CodePoints): CodePoints {
  return complement(union(complement(left), complement(right)));
}

export function difference(left: CodePoints, right: CodePoints): CodePoints {
  return intersection(left, complement(right));
}

export function contains(set: CodePoints, codePoint: number): boolean {
  let [low, high] = [0, set.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = set[middle];
    if (range === undefined) return false;
    if (codePoint < range[0]) high = middle - 1;
    else if (codePoint > range[1]) low = middle + 1;
    else return true;
  }
  return false;
}

/** How many there are. */
export function sizeOf(set: CodePoints): number {
  return set.reduce((size, [first, last]) => size + last - first + 1, 0);
}

/** Every member; for small sets. */
export function membersOf(set: CodePoints): number[] {
  return set.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, offset) => first + offset));
}

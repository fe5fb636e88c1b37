/**
 * The alphabet of a pattern: code points that none of its sets tells apart are one letter. It makes the tables of an
 * automaton small, whatever the sets hold.
 * @module
 */
import { type CodePoints, highestCodePoint } from "./code-points.ts";
import { asciiWord, wordCharacters } from "./unicode.ts";

export interface Alphabet {
  /** Letters are 0 to this, less one. */
  readonly size: number;
  /** The letter of each UTF-16 unit; that of a surrogate is `other`. */
  readonly units: Uint16Array;
  /** What `units` has where a unit alone does not tell the letter: surrogates, and carriage returns that may end a line. */
  readonly other: number;
  letterOf(codePoint: number): number;
  /** For each set that was given, in its order: whether it holds the letter. */
  readonly members: readonly Uint8Array[];
  readonly lineFeed: number;
  readonly isWord: Uint8Array;
  readonly isAsciiWord: Uint8Array;
}

const firstAstral = 0x10000;

/** @param options.endsLines Carriage returns before a line feed belong to it. */
export function createAlphabet(
  sets: readonly CodePoints[],
  options: { readonly knowsWords: boolean; readonly endsLines: boolean },
): Alphabet {
  const words: CodePoints[] = options.knowsWords ? [wordCharacters(), asciiWord] : [[], []];
  const all: CodePoints[] = [...sets, ...words, [[0x0a, 0x0a]]];
  const bounds = boundsOf(all);
  const { letters, size } = refine(bounds, all);
  const units = new Uint16Array(firstAstral);
  for (const [index, start] of bounds.entries())
    units.fill(letters[index] ?? 0, start, bounds[index + 1] ?? firstAstral);
  const letterOf = (codePoint: number): number => {
    let [low, high] = [0, bounds.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((bounds[middle] ?? 0) <= codePoint) low = middle;
      else high = middle - 1;
    }
    return letters[low] ?? 0;
  };
  const lineFeed = units[0x0a] ?? 0;
  units.fill(size, 0xd800, 0xe000);
  if (options.endsLines) units[0x0d] = size;
  const members = all.map((set) => membersOf(set, bounds, letters, size));
  const [isWord = new Uint8Array(size), isAsciiWord = new Uint8Array(size)] = members.slice(sets.length);
  return { size, units, other: size, letterOf, members: members.slice(0, sets.length), lineFeed, isWord, isAsciiWord };
}

/** Where one of the sets begins or has ended. */
function boundsOf(sets: readonly CodePoints[]): number[] {
  const bounds = new Set([0]);
  for (const set of sets) {
    for (const [first, last] of set) {
      bounds.add(first);
      if (last < highestCodePoint) bounds.add(last + 1);
    }
  }
  return [...bounds].sort((left, right) => left - right);
}

/** Splits letters by one set after the other. */
function refine(bounds: readonly number[], sets: readonly CodePoints[]): { letters: Uint16Array; size: number } {
  let letters = new Uint16Array(bounds.length);
  let size = 1;
  for (const set of sets) {
    const names = new Map<number, number>();
    const refined = new Uint16Array(bounds.length);
    forEachMember(set, bounds, (index, isMember) => {
      const key = (letters[index] ?? 0) * 2 + (isMember ? 1 : 0);
      const name = names.get(key) ?? names.size;
      names.set(key, name);
      refined[index] = name;
    });
    letters = refined;
    size = names.size;
  }
  return { letters, size };
}

function membersOf(set: CodePoints, bounds: readonly number[], letters: Uint16Array, size: number): Uint8Array {
  const members = new Uint8Array(size);
  forEachMember(set, bounds, (index, isMember) => {
    if (isMember) members[letters[index] ?? 0] = 1;
  });
  return members;
}

function forEachMember(
  set: CodePoints,
  bounds: readonly number[],
  visit: (index: number, isMember: boolean) => void,
): void {
  let at = 0;
  for (const [index, start] of bounds.entries()) {
    while (at < set.length && (set[at]?.[1] ?? 0) < start) at += 1;
    const range = set[at];
    visit(index, range !== undefined && range[0] <= start);
  }
}

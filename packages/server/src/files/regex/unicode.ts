/**
 * What Unicode says of code points, asked of the JavaScript engine's own tables: properties, and which letters are the
 * same when case is ignored. Each answer is worked out once in a process, in a few milliseconds.
 * @module
 */
import { codePointsOf, type CodePoints, complement, contains } from "./code-points.ts";

const firstSurrogate = 0xd800;
const lastSurrogate = 0xdfff;
const properties = new Map<string, CodePoints>();

/**
 * The code points of a property: a general category, a script or a binary property. Case, spaces and underscores in its
 * name do not matter. Null: no such property.
 * @example property("Lu"); property("greek"); property("script=Greek")
 */
export function property(name: string): CodePoints | null {
  const known = properties.get(name);
  if (known !== undefined) return known;
  let found: CodePoints | null = null;
  for (const candidate of spellings(name)) {
    const expression = compileProperty(candidate);
    if (expression === null) continue;
    found = collect(expression);
    break;
  }
  // Names come from patterns of strangers: what is unknown is not remembered.
  if (found !== null) properties.set(name, found);
  return found;
}

function spellings(name: string): string[] {
  const equals = name.indexOf("=");
  const value = name.slice(equals + 1).trim();
  if (!/^[A-Za-z][A-Za-z_ -]{0,40}$/.test(value)) return [];
  const words = value.split(/[ _-]+/);
  const titled = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase()).join("_");
  const values = [value, titled, value.toUpperCase()];
  if (equals === -1) return values.flatMap((spelling) => [spelling, `Script=${spelling}`]);
  const key = { sc: "Script", script: "Script", gc: "gc", scx: "scx" }[name.slice(0, equals).trim().toLowerCase()];
  return key === undefined ? [] : values.map((spelling) => `${key}=${spelling}`);
}

/** The name was validated: letters, spaces and dashes. */
function compileProperty(name: string): RegExp | null {
  try {
    return new RegExp(`\\p{${name}}+`, "gu");
  } catch {
    return null;
  }
}

/** Planes that hold characters of many kinds; any other is of one kind, but for its last two code points. */
const mixedPlanes = [0, 1, 2, 3, 14];

function collect(expression: RegExp): CodePoints {
  const ranges: [number, number][] = [];
  const collectRuns = (first: number, last: number) => {
    const isAstral = first > 0xffff;
    for (const { index, 0: run } of textOf(first, last).matchAll(expression)) {
      const start = first + (isAstral ? index / 2 : index);
      ranges.push([start, start + (isAstral ? run.length / 2 : run.length) - 1]);
    }
  };
  for (let plane = 0; plane <= 16; plane += 1) {
    const start = plane << 16;
    if (plane === 0) {
      collectRuns(0, firstSurrogate - 1);
      collectRuns(lastSurrogate + 1, 0xffff);
    } else if (mixedPlanes.includes(plane)) collectRuns(start, start + 0xffff);
    else {
      if (textOf(start, start).match(expression) !== null) ranges.push([start, start + 0xfffd]);
      collectRuns(start + 0xfffe, start + 0xffff);
    }
  }
  return codePointsOf(ranges);
}

/** Each code point once, in order. */
function textOf(first: number, last: number): string {
  const units = new Uint16Array((last - first + 1) * (first > 0xffff ? 2 : 1));
  let at = 0;
  for (let point = first; point <= last; point += 1) {
    if (point <= 0xffff) units[at++] = point;
    else {
      units[at++] = 0xd7c0 + (point >> 10);
      units[at++] = 0xdc00 + (point & 0x3ff);
    }
  }
  return Buffer.from(units.buffer).toString("utf16le");
}

export const asciiDigits: CodePoints = [[0x30, 0x39]];
export const asciiWord: CodePoints = codePointsOf([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
/** Tab, line feed, vertical tab, form feed, carriage return, space. */
export const asciiSpace: CodePoints = codePointsOf([
  [0x09, 0x0d],
  [0x20, 0x20],
]);

/** Of several properties together, at once. */
function anyOf(...names: readonly string[]): CodePoints {
  const key = names.join();
  const known = properties.get(key) ?? collect(new RegExp(`[${names.map((name) => `\\p{${name}}`).join("")}]+`, "gu"));
  properties.set(key, known);
  return known;
}

/** `\w`, by Unicode's own definition (UTS #18, Annex C), as in ripgrep. */
export function wordCharacters(): CodePoints {
  return anyOf("Alphabetic", "M", "Nd", "Pc", "Join_Control");
}

export function digits(): CodePoints {
  return anyOf("Nd");
}

export function spaces(): CodePoints {
  return anyOf("White_Space");
}

const orbits = new Map<number, readonly number[]>();

/**
 * The set with every letter that is one of its own in another case: simple case folding. `ſ` and the Kelvin sign are
 * letters of their own here: else no literal with an s or k could be looked up in an index of lower-case texts.
 */
export function ignoringCase(set: CodePoints): CodePoints {
  if (orbits.size === 0) findOrbits();
  const added: [number, number][] = [];
  for (const [member, others] of orbits) {
    if (contains(set, member)) for (const other of others) added.push([other, other]);
  }
  return added.length === 0 ? set : codePointsOf([...set, ...added]);
}

function findOrbits(): void {
  const separate = [0x17f, 0x212a];
  const cased = anyOf("Changes_When_Casemapped", "Changes_When_Casefolded");
  const groups = new Map<string, number[]>();
  for (const [first, last] of cased) {
    for (let point = first; point <= last; point += 1) {
      if (separate.includes(point)) continue;
      const character = String.fromCodePoint(point);
      for (const key of new Set([character, character.toLowerCase(), character.toUpperCase()])) {
        groups.set(key, [...(groups.get(key) ?? []), point]);
      }
    }
  }
  const joined = new Map<number, Set<number>>();
  for (const members of groups.values()) {
    for (const left of members) {
      for (const right of members) if (left !== right && isSameLetter(left, right)) joinOrbits(joined, left, right);
    }
  }
  for (const [member, orbit] of joined) orbits.set(member, [...orbit]);
}

function joinOrbits(orbitOf: Map<number, Set<number>>, left: number, right: number): void {
  const joined = new Set([left, right, ...(orbitOf.get(left) ?? []), ...(orbitOf.get(right) ?? [])]);
  for (const member of joined) orbitOf.set(member, joined);
}

/** The engine's own expressions ignore case by simple folding, also where they refer back. */
const sameLetterTwice = /^(.)\1$/isu;

function isSameLetter(left: number, right: number): boolean {
  return sameLetterTwice.test(String.fromCodePoint(left, right));
}

/** Everything but a line feed. */
export const notLineFeed: CodePoints = complement([[0x0a, 0x0a]]);

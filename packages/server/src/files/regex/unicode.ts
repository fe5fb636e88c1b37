/**
 * What Unicode says of code points, asked of the JavaScript engine's own tables: properties, and which letters are the
 * same when case is ignored. Each answer is worked out once in a process, in a few milliseconds.
 * @module
 */
import { codePointsOf, type CodePoints, complement, contains, highestCodePoint, union } from "./code-points.ts";

const firstSurrogate = 0xd800;
const lastSurrogate = 0xdfff;
const properties = new Map<string, CodePoints | null>();

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

/** Code points in blocks, so that no string of all of them is made. */
function collect(expression: RegExp): CodePoints {
  const ranges: [number, number][] = [];
  const block = 0x4000;
  for (let start = 0; start <= highestCodePoint; start += block) {
    const points: number[] = [];
    for (let point = start; point < start + block && point <= highestCodePoint; point += 1) {
      if (point < firstSurrogate || point > lastSurrogate) points.push(point);
    }
    if (points.length === 0) continue;
    const text = points.map((point) => String.fromCodePoint(point)).join("");
    for (const [run] of text.matchAll(expression)) {
      const members = Array.from(run, (character) => character.codePointAt(0) ?? 0);
      for (const member of members) {
        const last = ranges.at(-1);
        if (last !== undefined && last[1] + 1 === member) last[1] = member;
        else ranges.push([member, member]);
      }
    }
  }
  return ranges;
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

const namedSets = new Map<string, CodePoints>();

function named(name: string, make: () => CodePoints): CodePoints {
  const known = namedSets.get(name);
  if (known !== undefined) return known;
  const made = make();
  namedSets.set(name, made);
  return made;
}

function required(name: string): CodePoints {
  const found = property(name);
  if (found === null) throw new Error(`this JavaScript engine does not know the Unicode property ${name}`);
  return found;
}

/** `\w`, by Unicode's own definition (UTS #18, Annex C), as in ripgrep. */
export function wordCharacters(): CodePoints {
  return named("word", () => union(...["Alphabetic", "M", "Nd", "Pc", "Join_Control"].map(required)));
}

export function digits(): CodePoints {
  return required("Nd");
}

export function spaces(): CodePoints {
  return required("White_Space");
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
  const cased = union(required("Changes_When_Casemapped"), required("Changes_When_Casefolded"));
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

/** The engine's own expressions ignore case by simple folding; the escapes leave no character with a meaning. */
function isSameLetter(left: number, right: number): boolean {
  return new RegExp(`^\\u{${left.toString(16)}}$`, "iu").test(String.fromCodePoint(right));
}

/** Everything but a line feed. */
export const notLineFeed: CodePoints = complement([[0x0a, 0x0a]]);

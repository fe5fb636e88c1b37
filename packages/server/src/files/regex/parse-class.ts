/** Character classes and escapes: what stands for one character of a set. @module */
import {
  codePointsOf,
  type CodePoints,
  complement,
  difference,
  highestCodePoint,
  intersection,
  union,
} from "./code-points.ts";
import type { Reader } from "./reader.ts";
import { PatternError } from "./syntax.ts";
import {
  asciiDigits,
  asciiSpace,
  asciiWord,
  digits,
  ignoringCase,
  property,
  spaces,
  wordCharacters,
} from "./unicode.ts";

const controls: ReadonlyMap<string, number> = new Map([
  ["a", 0x07],
  ["f", 0x0c],
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["v", 0x0b],
]);

const deepest = 100;

/** Behind a backslash: one character, or a set of them. Null: it is neither. */
export function parseEscape(reader: Reader): number | CodePoints | null {
  const start = reader.at;
  const character = reader.take();
  const perl = perlClass(reader, character);
  if (perl !== null) return perl;
  if (character === "p" || character === "P") return parseProperty(reader, character === "P");
  const control = controls.get(character);
  if (control !== undefined) return reader.literal(control);
  if (character === "x" || character === "u" || character === "U") return parseHexadecimal(reader, character);
  // Any other sign of ASCII stands for itself; `\<` and `\>` are assertions.
  if (character !== "" && character < "\x80" && !/[0-9A-Za-z<>]/.test(character)) {
    return reader.literal(character.charCodeAt(0));
  }
  reader.at = start;
  return null;
}

function perlClass(reader: Reader, character: string): CodePoints | null {
  const { unicode } = reader.flags;
  const set = {
    d: () => (unicode ? digits() : asciiDigits),
    s: () => (unicode ? spaces() : asciiSpace),
    w: () => (unicode ? wordCharacters() : asciiWord),
  }[character.toLowerCase()];
  if (set === undefined) return null;
  return character === character.toLowerCase() ? set() : complement(set());
}

function parseProperty(reader: Reader, negated: boolean): CodePoints {
  const start = reader.at;
  const name = reader.match(/\{(\^?)([^{}]{1,60})\}|([A-Za-z])/y);
  if (name === null) reader.fail("a Unicode class is \\pL or \\p{Name}", start);
  const set = property(name[3] ?? name[2] ?? "");
  if (set === null) reader.fail(`there is no Unicode class ${name[0]}`, start);
  const folded = reader.flags.ignoreCase ? ignoringCase(set) : set;
  return negated !== (name[1] === "^") ? complement(folded) : folded;
}

function parseHexadecimal(reader: Reader, kind: string): number {
  const start = reader.at;
  const length = { x: 2, u: 4, U: 8 }[kind] ?? 0;
  const found =
    reader.match(/\{([0-9A-Fa-f]{1,8})\}/y)?.[1] ?? reader.match(new RegExp(`[0-9A-Fa-f]{${length}}`, "y"))?.[0];
  const point = Number.parseInt(found ?? "", 16);
  if (!(point <= highestCodePoint) || (point >= 0xd800 && point <= 0xdfff)) {
    reader.fail(`\\${kind} needs ${length} hexadecimal digits, or a code point in braces`, start);
  }
  return reader.literal(point);
}

/** The bracket was taken. */
export function parseClass(reader: Reader): CodePoints {
  const start = reader.at - 1;
  reader.classDepth += 1;
  if (reader.classDepth > deepest) reader.fail("classes are nested too deeply");
  const negated = reader.accept("^");
  let set = parseMembers(reader, true, start);
  for (;;) {
    if (reader.accept("&&")) set = intersection(set, parseMembers(reader, false, start));
    else if (reader.accept("--")) set = difference(set, parseMembers(reader, false, start));
    else if (reader.accept("~~")) {
      const other = parseMembers(reader, false, start);
      set = difference(union(set, other), intersection(set, other));
    } else break;
  }
  if (!reader.accept("]")) reader.fail("the character class is not closed", start);
  reader.classDepth -= 1;
  if (reader.classDepth === 0) reader.plainBrackets = false;
  return negated ? complement(set) : set;
}

const operators = ["&&", "--", "~~"];

/** Up to the closing bracket or an operator between sets. */
function parseMembers(reader: Reader, isFirst: boolean, start: number): CodePoints {
  const ranges: CodePoints[number][] = [];
  let first = isFirst;
  for (;;) {
    reader.skipIgnored();
    if (reader.peek() === "") reader.fail("the character class is not closed", start);
    if (reader.peek() === "]" && !first) break;
    if (operators.some((operator) => reader.pattern.startsWith(operator, reader.at)) && !first) break;
    first = false;
    const member = parseMember(reader);
    if (typeof member !== "number") {
      ranges.push(...member);
      continue;
    }
    ranges.push([member, parseRangeEnd(reader, member)]);
  }
  const set = codePointsOf(ranges);
  return reader.flags.ignoreCase ? ignoringCase(set) : set;
}

function parseRangeEnd(reader: Reader, first: number): number {
  if (reader.peek() !== "-" || reader.peek(1) === "]" || reader.peek(1) === "-" || reader.peek(1) === "") return first;
  const position = reader.at;
  reader.take();
  reader.skipIgnored();
  const last = parseMember(reader);
  if (typeof last !== "number") reader.fail("a range ends with a character, not with a class", position);
  if (last < first) reader.fail("a range ends before it begins", position);
  return last;
}

function parseMember(reader: Reader): number | CodePoints {
  const start = reader.at;
  const character = reader.take();
  if (character === "\\") {
    const escaped = parseEscape(reader);
    if (escaped === null) reader.fail(`\\${reader.peek()} means nothing in a character class`, start);
    return escaped;
  }
  if (character === "[") return parseNested(reader);
  return reader.literal(character.codePointAt(0) ?? 0);
}

/** The bracket was taken. One that opens no class stands for itself, as in RE2. */
function parseNested(reader: Reader): number | CodePoints {
  const start = reader.at;
  const posix = reader.match(/:(\^?)([a-z]+):\]/y);
  if (posix !== null) {
    const set = posixClasses.get(posix[2] ?? "");
    if (set === undefined) reader.fail(`there is no class [${posix[0]}`, start);
    return posix[1] === "^" ? complement(set) : set;
  }
  if (reader.plainBrackets) return 0x5b;
  if (reader.classDepth > 1) return parseClass(reader);
  // Tried once for each outermost class: patterns of brackets alone would take forever.
  try {
    const nested = parseClass(reader);
    if (reader.pattern.includes("]", reader.at)) return nested;
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
  }
  reader.at = start;
  reader.classDepth = 1;
  reader.plainBrackets = true;
  return 0x5b;
}

const posixClasses: ReadonlyMap<string, CodePoints> = new Map<string, CodePoints>([
  [
    "alnum",
    codePointsOf([
      [0x30, 0x39],
      [0x41, 0x5a],
      [0x61, 0x7a],
    ]),
  ],
  [
    "alpha",
    codePointsOf([
      [0x41, 0x5a],
      [0x61, 0x7a],
    ]),
  ],
  ["ascii", [[0, 0x7f]]],
  [
    "blank",
    codePointsOf([
      [0x09, 0x09],
      [0x20, 0x20],
    ]),
  ],
  [
    "cntrl",
    codePointsOf([
      [0, 0x1f],
      [0x7f, 0x7f],
    ]),
  ],
  ["digit", asciiDigits],
  ["graph", [[0x21, 0x7e]]],
  ["lower", [[0x61, 0x7a]]],
  ["print", [[0x20, 0x7e]]],
  [
    "punct",
    codePointsOf([
      [0x21, 0x2f],
      [0x3a, 0x40],
      [0x5b, 0x60],
      [0x7b, 0x7e],
    ]),
  ],
  ["space", asciiSpace],
  ["upper", [[0x41, 0x5a]]],
  ["word", asciiWord],
  [
    "xdigit",
    codePointsOf([
      [0x30, 0x39],
      [0x41, 0x46],
      [0x61, 0x66],
    ]),
  ],
]);

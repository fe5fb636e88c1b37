/**
 * Reads a pattern: the syntax of ripgrep (that of Rust's `regex`), and what RE2 allows besides: braces and brackets that
 * open nothing stand for themselves, and `\Q…\E`.
 * Source: the syntax sections of docs.rs/regex and of RE2's wiki.
 * @module
 */
import { type CodePoints, difference, highestCodePoint } from "./code-points.ts";
import { parseClass, parseEscape } from "./parse-class.ts";
import { type Flags, Reader } from "./reader.ts";
import type { Assertion, Node, ParsedPattern } from "./syntax.ts";
import { ignoringCase, notLineFeed } from "./unicode.ts";

const mostRepetitions = 1_000;
const deepestGroup = 200;

/**
 * @throws PatternError
 * @example parsePattern("fo+", { ignoreCase: true, dotAll: false })
 */
export function parsePattern(
  pattern: string,
  options: { readonly ignoreCase: boolean; readonly dotAll: boolean },
): ParsedPattern {
  const reader = new Reader(pattern, { ...options, lines: true, swapGreed: false, unicode: true, verbose: false });
  const node = parseAlternatives(reader);
  if (reader.at < pattern.length) reader.fail("a closing parenthesis has no opening one");
  const { namesCarriageReturn, namesLineFeed } = reader;
  return { node, namesCarriageReturn, namesLineFeed };
}

function parseAlternatives(reader: Reader): Node {
  const { flags } = reader;
  const nodes = [parseSequence(reader)];
  while (reader.accept("|")) nodes.push(parseSequence(reader));
  // Flags set inside end with the group.
  reader.flags = flags;
  return nodes.length === 1 && nodes[0] !== undefined ? nodes[0] : { type: "alternatives", nodes };
}

function parseSequence(reader: Reader): Node {
  const nodes: Node[] = [];
  for (;;) {
    reader.skipIgnored();
    const next = reader.peek();
    if (next === "" || next === "|" || next === ")") break;
    if (reader.accept("\\Q")) {
      nodes.push(...parseQuoted(reader));
      continue;
    }
    const start = reader.at;
    const atom = parseAtom(reader);
    if (atom !== null) nodes.push(parseQuantifiers(reader, atom, start));
  }
  return { type: "sequence", nodes };
}

function parseQuoted(reader: Reader): Node[] {
  const end = reader.pattern.indexOf("\\E", reader.at);
  const quoted = reader.pattern.slice(reader.at, end === -1 ? undefined : end);
  reader.at += quoted.length + (end === -1 ? 0 : 2);
  return Array.from(quoted, (character) => characterNode(reader, character));
}

function characterNode(reader: Reader, character: string): Node {
  const point = reader.literal(character.codePointAt(0) ?? 0);
  return setNode(reader, [[point, point]]);
}

function setNode(reader: Reader, set: CodePoints): Node {
  return { type: "set", set: reader.flags.ignoreCase ? ignoringCase(set) : set };
}

/** Null: it sets flags and matches nothing. */
function parseAtom(reader: Reader): Node | null {
  const start = reader.at;
  const character = reader.take();
  switch (character) {
    case "(":
      return parseGroup(reader, start);
    case "[":
      return { type: "set", set: parseClass(reader) };
    case ".":
      return { type: "set", set: reader.flags.dotAll ? [[0, highestCodePoint]] : notLineFeed };
    case "^":
      return { type: "assertion", assertion: reader.flags.lines ? "line_start" : "text_start" };
    case "$":
      return { type: "assertion", assertion: reader.flags.lines ? "line_end" : "text_end" };
    case "\\":
      return parseEscapedAtom(reader, start);
    case "*":
    case "+":
    case "?":
      return reader.fail(`nothing stands before ${character}`, start);
    default:
      return characterNode(reader, character);
  }
}

function parseEscapedAtom(reader: Reader, start: number): Node {
  if (reader.peek() === "") reader.fail("it ends with a backslash", start);
  const assertion = parseAssertion(reader);
  if (assertion !== null) return { type: "assertion", assertion };
  const escaped = parseEscape(reader);
  if (escaped !== null)
    return typeof escaped === "number" ? setNode(reader, [[escaped, escaped]]) : { type: "set", set: escaped };
  if (/[0-9]/.test(reader.peek())) reader.fail("references back to a group are not possible in linear time", start);
  return reader.fail(`\\${reader.peek()} means nothing`, start);
}

function parseAssertion(reader: Reader): Assertion | null {
  const { unicode } = reader.flags;
  if (reader.accept("A")) return "text_start";
  if (reader.accept("z")) return "text_end";
  if (reader.accept("b{start}") || reader.accept("<")) return "word_start";
  if (reader.accept("b{end}") || reader.accept(">")) return "word_end";
  if (reader.accept("b")) return unicode ? "word_boundary" : "ascii_word_boundary";
  if (reader.accept("B")) return unicode ? "not_word_boundary" : "not_ascii_word_boundary";
  return null;
}

/** The parenthesis was taken. */
function parseGroup(reader: Reader, start: number): Node | null {
  const { flags } = reader;
  if (reader.match(/\?(?:[=!]|<[=!])/y) !== null) {
    reader.fail("looking ahead or behind is not possible in linear time", start);
  }
  if (reader.match(/\?P?<[A-Za-z_][\w.[\]]*>/y) === null && reader.accept("?")) {
    reader.flags = parseFlags(reader, start);
    if (reader.accept(")")) return null;
    if (!reader.accept(":")) reader.fail("a group begins with (?: or (?<name> or (?flags)", start);
  }
  reader.depth += 1;
  if (reader.depth > deepestGroup) reader.fail("groups are nested too deeply", start);
  const node = parseAlternatives(reader);
  reader.depth -= 1;
  if (!reader.accept(")")) reader.fail("the group is not closed", start);
  reader.flags = flags;
  return node;
}

const flagNames: ReadonlyMap<string, keyof Flags> = new Map([
  ["i", "ignoreCase"],
  ["m", "lines"],
  ["s", "dotAll"],
  ["U", "swapGreed"],
  ["u", "unicode"],
  ["x", "verbose"],
]);

function parseFlags(reader: Reader, start: number): Flags {
  let flags = reader.flags;
  let value = true;
  for (const flag of reader.match(/[a-zA-Z-]*/y)?.[0] ?? "") {
    const name = flagNames.get(flag);
    if (flag === "-") value = false;
    else if (name === undefined) reader.fail(`there is no flag ${flag}`, start);
    else flags = { ...flags, [name]: value };
  }
  return flags;
}

function parseQuantifiers(reader: Reader, atom: Node, start: number): Node {
  let node = atom;
  for (let quantifiers = 0; ; quantifiers += 1) {
    reader.skipIgnored();
    const found = reader.match(/[*+?]|\{(\d{1,9})(,?)(\d{0,9})\}/y);
    if (found === null) return node;
    if (quantifiers >= deepestGroup) reader.fail("there are too many quantifiers", start);
    const [minimum, maximum] = boundsOf(found);
    if (minimum > maximum) reader.fail(`${found[0]} ends before it begins`, start);
    if (Math.max(minimum, maximum === Infinity ? 0 : maximum) > mostRepetitions) {
      reader.fail(`it repeats more than ${mostRepetitions} times`, start);
    }
    const greedy = reader.accept("?") === reader.flags.swapGreed;
    node = { type: "repetition", node, minimum, maximum, greedy };
  }
}

function boundsOf([whole, first = "", comma, last]: RegExpExecArray): [minimum: number, maximum: number] {
  if (whole === "*") return [0, Infinity];
  if (whole === "+") return [1, Infinity];
  if (whole === "?") return [0, 1];
  const minimum = Number(first);
  if (comma === "") return [minimum, minimum];
  return [minimum, last === undefined || last === "" ? Infinity : Number(last)];
}

/** The same for single lines: no set holds a line feed. */
export function withoutLineFeed(node: Node): Node {
  switch (node.type) {
    case "set":
      return { type: "set", set: difference(node.set, [[0x0a, 0x0a]]) };
    case "sequence":
    case "alternatives":
      return { ...node, nodes: node.nodes.map(withoutLineFeed) };
    case "repetition":
      return { ...node, node: withoutLineFeed(node.node) };
    default:
      return node;
  }
}

/**
 * The pattern of a search, in one dialect wherever files live: RE2, which is what ripgrep's users write, and which
 * takes linear time whatever the pattern (`(a+)+$` stalls JavaScript's own engine for minutes). The literals that every
 * match must contain serve as a filter that an index or a plain `grep -F` can apply first.
 * @module
 */
import { RE2JS } from "re2js";
import { FileError } from "./store.ts";

/** Characters kept of a line that matches. */
const longestShownLine = 500;
/** Characters; a longer pattern is a mistake. */
const longestPattern = 1_000;

export interface SearchPattern {
  /** Every text that matches holds each of these. Empty: nothing is known. */
  readonly literals: readonly string[];
  readonly ignoreCase: boolean;
  /** Whether a line, given without its end, matches. */
  matches(line: string): boolean;
  /** The first lines of a text that match, in order. A carriage return before the line feed is no part of the line. */
  findLines(text: string, maximum: number): LineMatch[];
}

/** A line that matches: its number, from 1, and where it begins. */
export interface LineMatch {
  readonly line: number;
  readonly start: number;
}

/**
 * @param multiline A match may go over several lines, all of which match then, and `.` matches a line feed.
 * @throws FileError `failed` when the pattern is not valid
 */
export function compileSearchPattern(pattern: string, ignoreCase: boolean, multiline = false): SearchPattern {
  if (pattern.length > longestPattern)
    throw new FileError("failed", `The pattern is longer than ${longestPattern} characters.`);
  let compiled: RE2JS;
  try {
    const flags = multiline ? RE2JS.DOTALL | RE2JS.MULTILINE : 0;
    compiled = RE2JS.compile(pattern, flags | (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0));
  } catch (error) {
    const why = error instanceof Error ? error.message : "it cannot be read";
    throw new FileError("failed", `The pattern is not a valid regular expression (RE2 syntax, as in ripgrep): ${why}`);
  }
  const literals = requiredLiterals(pattern);
  const required = ignoreCase ? [] : literals;
  const matches = (line: string) => required.every((literal) => line.includes(literal)) && compiled.test(line);
  return {
    literals,
    ignoreCase,
    matches,
    findLines: (text, maximum) =>
      multiline ? findSpans(text, compiled, maximum) : findSingleLines(text, matches, maximum),
  };
}

function findSingleLines(text: string, matches: (line: string) => boolean, maximum: number): LineMatch[] {
  const found: LineMatch[] = [];
  let line = 0;
  for (let start = 0; start < text.length && found.length < maximum;) {
    line += 1;
    const feed = text.indexOf("\n", start);
    const end = feed === -1 ? text.length : feed;
    if (matches(text.slice(start, end > start && text[end - 1] === "\r" ? end - 1 : end))) found.push({ line, start });
    start = end + 1;
  }
  return found;
}

function findSpans(text: string, compiled: RE2JS, maximum: number): LineMatch[] {
  const found: LineMatch[] = [];
  const matcher = compiled.matcher(text);
  let [line, start] = [1, 0];
  while (found.length < maximum && matcher.find()) {
    while (start <= matcher.start()) {
      const feed = text.indexOf("\n", start);
      if (feed === -1 || feed >= matcher.start()) break;
      [line, start] = [line + 1, feed + 1];
    }
    while (start < text.length && found.length < maximum) {
      if (found.at(-1)?.line !== line) found.push({ line, start });
      const feed = text.indexOf("\n", start);
      if (feed === -1 || feed + 1 >= matcher.end()) break;
      [line, start] = [line + 1, feed + 1];
    }
  }
  return found;
}

/** As it is shown. */
export function shortenLine(line: string): string {
  if (line.length <= longestShownLine) return line;
  return `${line.slice(0, longestShownLine)}… [${line.length - longestShownLine} more characters]`;
}

/** A literal shorter than a trigram narrows nothing. */
const shortestLiteral = 3;

/**
 * Literals at the top level of a regular expression. Conservative: whatever is not surely understood ends a literal or
 * the whole search for them. Exported for its test.
 */
export function requiredLiterals(pattern: string): string[] {
  const characters = Array.from(pattern);
  const found: string[] = [];
  let current: string[] = [];
  const end = (dropLast: boolean) => {
    if (dropLast) current.pop();
    const literal = current.join("");
    if (literal.replace(/[^\p{L}\p{N}]/gu, "").length >= shortestLiteral) found.push(literal);
    current = [];
  };
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? "";
    if (character === "|") return [];
    if (character === "(") {
      const next = skipGroup(characters, at);
      if (next === null) return [];
      end(false);
      at = next;
    } else if (character === "[") {
      end(false);
      at = skipClass(characters, at);
    } else if (character === "?" || character === "*" || character === "{") {
      end(true);
      if (character === "{") at = Math.max(at, characters.indexOf("}", at));
    } else if (character === "\\") {
      at += 1;
      const escaped = characters[at] ?? "";
      if (/[dDwWsSbBAz]/.test(escaped)) end(false);
      else if (/[\p{L}\p{N}]/u.test(escaped)) return [];
      else current.push(escaped);
    } else if (/[.^$+]/.test(character)) end(false);
    else current.push(character);
  }
  end(false);
  return found;
}

/** Position of the closing parenthesis. Null when the group sets flags, which may reach beyond it. */
function skipGroup(characters: readonly string[], start: number): number | null {
  let depth = 0;
  for (let at = start; at < characters.length; at += 1) {
    const character = characters[at];
    if (character === "\\") {
      if (/[QE]/.test(characters[at + 1] ?? "")) return null;
      at += 1;
    } else if (character === "[") at = skipClass(characters, at);
    else if (character === "(") {
      depth += 1;
      if (characters[at + 1] === "?" && characters[at + 2] !== ":" && characters[at + 2] !== "P") return null;
    } else if (character === ")") {
      depth -= 1;
      if (depth === 0) return at;
    }
  }
  return null;
}

/** Position of the bracket that closes a character class. */
function skipClass(characters: readonly string[], start: number): number {
  let at = start + 1;
  if (characters[at] === "^") at += 1;
  // A bracket in the first place is a member.
  if (characters[at] === "]") at += 1;
  for (; at < characters.length && characters[at] !== "]"; at += 1) {
    if (characters[at] === "\\") at += 1;
    else if (characters[at] === "[" && characters[at + 1] === ":") {
      const close = characters.findIndex(
        (character, index) => index > at + 1 && character === ":" && characters[index + 1] === "]",
      );
      if (close !== -1) at = close + 1;
    }
  }
  return at;
}

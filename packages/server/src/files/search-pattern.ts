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
  /** Every line that matches holds each of these. Empty: nothing is known. */
  readonly literals: readonly string[];
  readonly ignoreCase: boolean;
  matches(line: string): boolean;
}

/** @throws FileError `invalid_path` never; `failed` when the pattern is not valid. */
export function compileSearchPattern(pattern: string, ignoreCase: boolean): SearchPattern {
  if (pattern.length > longestPattern)
    throw new FileError("failed", `The pattern is longer than ${longestPattern} characters.`);
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  } catch (error) {
    const why = error instanceof Error ? error.message : "it cannot be read";
    throw new FileError("failed", `The pattern is not a valid regular expression (RE2 syntax, as in ripgrep): ${why}`);
  }
  const literals = requiredLiterals(pattern);
  const required = ignoreCase ? [] : literals;
  return {
    literals,
    ignoreCase,
    matches: (line) => required.every((literal) => line.includes(literal)) && compiled.test(line),
  };
}

/**
 * The lines of a text that match. A carriage return before the line feed is no part of the line.
 * @example [...matchingLines("a\nb\n", compileSearchPattern("b", false))] // [{ line: 2, text: "b" }]
 */
export function* matchingLines(
  text: string,
  pattern: SearchPattern,
): Generator<{ readonly line: number; readonly text: string }> {
  let line = 0;
  for (let start = 0; start < text.length;) {
    line += 1;
    const feed = text.indexOf("\n", start);
    const end = feed === -1 ? text.length : feed;
    const content = text.slice(start, end > start && text[end - 1] === "\r" ? end - 1 : end);
    if (pattern.matches(content)) yield { line, text: shorten(content) };
    start = end + 1;
  }
}

function shorten(line: string): string {
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

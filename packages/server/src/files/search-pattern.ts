/**
 * The pattern of a search, in one dialect wherever files live: ripgrep's. It is matched in linear time whatever it is
 * (`(a+)+$` stalls JavaScript's own engine for minutes), and in pieces, so that nobody waits for a long text.
 *
 * Where ripgrep leaves a choice: `^` and `$` hold at every line, a carriage return before a line feed belongs to the line
 * end (`--crlf`) unless the pattern names one, and `.` matches a line feed where matches may go over several lines.
 * @module
 */
import { Automaton } from "./regex/automaton.ts";
import { parsePattern, withoutLineFeed } from "./regex/parse.ts";
import { compileProgram, type Program } from "./regex/program.ts";
import { requiredLiterals, type Required } from "./regex/required.ts";
import { Scan } from "./regex/scan.ts";
import { findSpans } from "./regex/spans.ts";
import { PatternError } from "./regex/syntax.ts";
import { FileError } from "./store.ts";

/** Characters kept of a line that matches. */
const longestShownLine = 500;
/** Characters; a longer pattern is a mistake. */
const longestPattern = 1_000;
/** Looked for in each text before it is matched. */
const mostClauses = 3;

export interface SearchPattern {
  /** Literals that every text holds in which something matches: for an index, or for `grep -F`. */
  readonly required: Required;
  /** Whether a line, given without its end, matches. */
  matches(line: string): boolean;
  /** What matches of a line, given without its end; empty matches are left out. Null: others may run now. */
  matchesIn(line: string): Generator<string | null, void>;
  /** The first lines of a text that match. */
  search(text: string, maximum: number): TextSearch;
}

export interface TextSearch {
  /** Where each line begins that matches, so far. */
  readonly starts: readonly number[];
  /** Goes on for some milliseconds. True: it is at its end. */
  advance(): boolean;
}

export interface PatternOptions {
  readonly ignoreCase: boolean;
  /** A match may go over several lines, all of which match then. */
  readonly multiline: boolean;
}

/**
 * @throws FileError `failed` when the pattern is not valid
 * @example compileSearchPattern("^a", { ignoreCase: true, multiline: false }).matches("Abc") // true
 */
export function compileSearchPattern(pattern: string, { ignoreCase, multiline }: PatternOptions): SearchPattern {
  const { program, required } = compile(pattern, ignoreCase, multiline);
  const automaton = new Automaton(program, { singleLines: !multiline });
  const literals = required.ignoreCase ? [] : required.clauses.slice(0, mostClauses);
  const literal = literals.find((clause) => clause.length === 1)?.[0] ?? "";
  const mayMatch = (text: string) => literals.every((clause) => clause.some((one) => text.includes(one)));
  const none: TextSearch = { starts: [], advance: () => true };
  const scan = (text: string, maximum: number) =>
    new Scan(automaton, text, { singleLines: !multiline, literal, maximum });
  return {
    required,
    matches(line) {
      if (line === "") return automaton.acceptsEmpty();
      const found = mayMatch(line) ? scan(line, 1) : none;
      while (!found.advance());
      return found.starts.length > 0;
    },
    *matchesIn(line) {
      for (const span of findSpans(program, line)) {
        if (span === null) yield null;
        else if (span.end > span.start) yield line.slice(span.start, span.end);
      }
    },
    search(text, maximum) {
      if (!mayMatch(text)) return none;
      return multiline ? new SpanSearch(program, scan(text, 1), text, maximum) : scan(text, maximum);
    },
  };
}

function compile(
  pattern: string,
  ignoreCase: boolean,
  multiline: boolean,
): { readonly program: Program; readonly required: Required } {
  if (pattern.length > longestPattern)
    throw new FileError("failed", `The pattern is longer than ${longestPattern} characters.`);
  try {
    const parsed = parsePattern(pattern, { ignoreCase, dotAll: multiline });
    if (!multiline && parsed.namesLineFeed) {
      throw new PatternError("a line holds no line feed; ask for matches over several lines", 0);
    }
    const node = multiline ? parsed.node : withoutLineFeed(parsed.node);
    return { program: compileProgram(node, !parsed.namesCarriageReturn), required: requiredLiterals(node) };
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    const where = error.position === 0 ? "" : ` (at character ${error.position + 1})`;
    throw new FileError(
      "failed",
      `The pattern is not a valid regular expression (RE2 syntax, as in ripgrep): ${error.message}${where}.`,
    );
  }
}

/** Matches over several lines: where any match is at all, each is looked for from its beginning to its end. */
class SpanSearch implements TextSearch {
  readonly starts: number[] = [];
  readonly #first: Scan;
  readonly #text: string;
  readonly #maximum: number;
  readonly #spans: ReturnType<typeof findSpans>;
  #hasAny = false;

  constructor(program: Program, first: Scan, text: string, maximum: number) {
    this.#first = first;
    this.#text = text;
    this.#maximum = maximum;
    this.#spans = findSpans(program, text);
  }

  advance(): boolean {
    if (!this.#hasAny) {
      if (!this.#first.advance()) return false;
      if (this.#first.starts.length === 0) return true;
      this.#hasAny = true;
    }
    while (this.starts.length < this.#maximum) {
      const { done, value } = this.#spans.next();
      if (done === true) return true;
      if (value === null) return false;
      this.#addLines(value.start, value.end);
    }
    return true;
  }

  #addLines(from: number, end: number): void {
    let start = from === 0 ? 0 : this.#text.lastIndexOf("\n", from - 1) + 1;
    for (;;) {
      if (this.starts.length >= this.#maximum) return;
      if (start > (this.starts.at(-1) ?? -1)) this.starts.push(start);
      const feed = this.#text.indexOf("\n", start);
      if (feed === -1 || feed + 1 >= end) return;
      start = feed + 1;
    }
  }
}

/** As it is shown. */
export function shortenLine(line: string): string {
  if (line.length <= longestShownLine) return line;
  return `${line.slice(0, longestShownLine)}… [${line.length - longestShownLine} more characters]`;
}

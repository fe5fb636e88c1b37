/**
 * Glob patterns as linear-time expressions. A pattern comes from a model and runs on the server's event loop, so it is
 * translated to a regular expression of regex/; the usual libraries build backtracking expressions with look-ahead.
 * @module
 */
import { Automaton } from "./regex/automaton.ts";
import { parsePattern } from "./regex/parse.ts";
import { compileProgram } from "./regex/program.ts";
import { Scan } from "./regex/scan.ts";
import { PatternError } from "./regex/syntax.ts";
import { FileError } from "./store.ts";

/** Characters. */
const longestPattern = 500;

/**
 * Whether a path relative to the searched directory matches. `*` and `?` stay within a segment, `**` spans segments,
 * `[a-z]`, `[!a]` and nested `{a,b}` mean what they do in a shell. Names that begin with a dot are like any other.
 * @param options.anyDepth A pattern without a slash matches the last segment at any depth, as in ripgrep's `--glob`.
 * @throws FileError `failed`
 * @example compileGlob("src/**" + "/*.{ts,tsx}")("src/a/b.tsx") // true
 */
export function compileGlob(pattern: string, options: { readonly anyDepth?: boolean } = {}): (path: string) => boolean {
  if (pattern === "" || pattern.length > longestPattern) {
    throw new FileError("failed", `A glob pattern has 1 to ${longestPattern} characters.`);
  }
  if (pattern.startsWith("/") || pattern.split("/").includes("..")) {
    throw new FileError(
      "failed",
      "A glob pattern is relative to `path` and cannot leave it: pass the directory in `path`.",
    );
  }
  const relative = pattern.startsWith("./") ? pattern.slice(2) : pattern;
  const anchored = options.anyDepth === true && !relative.includes("/") ? `**/${relative}` : relative;
  try {
    const { node } = parsePattern(`(?:${translate(anchored)})\\z`, { ignoreCase: false, dotAll: true });
    const automaton = new Automaton(compileProgram(node, false), { singleLines: false, anchored: true });
    return (path) => {
      const scan = new Scan(automaton, path, { singleLines: false, literal: "", maximum: 1 });
      while (!scan.advance());
      return scan.starts.length > 0;
    };
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new FileError("failed", `The glob pattern ${JSON.stringify(pattern)} cannot be read.`);
  }
}

function translate(pattern: string): string {
  let expression = "";
  let open = 0;
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character === "*") {
      let stars = 1;
      while (pattern[at + stars] === "*") stars += 1;
      const startsSegment = at === 0 || /[/{,]/.test(pattern.charAt(at - 1));
      at += stars - 1;
      if (stars === 1) expression += "[^/]*";
      else if (startsSegment && pattern[at + 1] === "/") {
        expression += "(?:[^/]+/)*";
        at += 1;
      } else expression += ".*";
    } else if (character === "?") expression += "[^/]";
    else if (character === "[") {
      const { source, end } = translateClass(pattern, at);
      expression += source;
      at = end;
    } else if (character === "{" && pattern.includes("}", at)) {
      expression += "(?:";
      open += 1;
    } else if (character === "}" && open > 0) {
      expression += ")";
      open -= 1;
    } else if (character === "," && open > 0) expression += "|";
    else if (character === "\\" && at + 1 < pattern.length) {
      at += 1;
      expression += quote(pattern.charAt(at));
    } else expression += quote(character);
  }
  return expression;
}

function translateClass(pattern: string, start: number): { readonly source: string; readonly end: number } {
  const negated = pattern[start + 1] === "!" || pattern[start + 1] === "^";
  const first = start + (negated ? 2 : 1);
  const end = pattern.indexOf("]", first + 1);
  if (end === -1) return { source: "\\[", end: start };
  const members = pattern.slice(first, end).replace(/[\\[\]^&~]/g, "\\$&");
  return { source: negated ? `[^/${members}]` : `[${members}]`, end };
}

function quote(character: string): string {
  return character.replace(/[^\p{L}\p{N}\s]/gu, (sign) => (sign < "\x7f" ? `\\${sign}` : sign));
}

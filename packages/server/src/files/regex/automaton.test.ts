import { describe, expect, it } from "vitest";
import { createRandom } from "../search-testing.ts";
import { Automaton } from "./automaton.ts";
import { parsePattern, withoutLineFeed } from "./parse.ts";
import { compileProgram } from "./program.ts";
import { Scan } from "./scan.ts";
import { PatternError } from "./syntax.ts";

function scan(
  pattern: string,
  text: string,
  mostPlaces = 1_000_000,
): { readonly lines: number[]; readonly pieces: number } {
  const { node } = parsePattern(pattern, { ignoreCase: false, dotAll: false });
  const automaton = new Automaton(compileProgram(withoutLineFeed(node), true), { singleLines: true, mostPlaces });
  const found = new Scan(automaton, text, { singleLines: true, literal: "", maximum: Infinity });
  let pieces = 1;
  while (!found.advance()) pieces += 1;
  const lineOf = new Map([[0, 1]]);
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lineOf.set(at + 1, lineOf.size + 1);
  return { lines: found.starts.map((start) => lineOf.get(start) ?? 0), pieces };
}

function linesOf(count: number, length: number, letters: string): string {
  const random = createRandom(3);
  const line = () => Array.from({ length }, () => letters.charAt(random(letters.length))).join("");
  return Array.from({ length: count }, line).join("\n");
}

describe("an automaton", () => {
  it("finds the same after it has forgotten its states", () => {
    const text = linesOf(3_000, 60, "abc");
    const pattern = "a[ab]{16}c";
    const expression = new RegExp(pattern);
    const expected = text.split("\n").flatMap((line, index) => (expression.test(line) ? [index + 1] : []));
    expect(expected.length).toBeGreaterThan(20);
    expect(scan(`(?:${pattern})`, text, 2_000).lines).toEqual(expected);
  });

  it("lets others run while it builds states, and in a long text", () => {
    expect(scan("(?:a|b)*a(?:a|b|c){200}d", linesOf(20, 2_000, "abc")).pieces).toBeGreaterThan(5);
    expect(scan("x", "a".repeat(2_000_000)).pieces).toBeGreaterThan(2);
  });

  it.each(["^(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)(.*)(.*)x", "((((a?){30}){30}))b"])(
    "takes no longer for %s",
    (pattern) => {
      expect(scan(pattern, `${"a".repeat(30_000)}!`).lines).toEqual([]);
    },
  );

  it("refuses what is too large", () => {
    for (const pattern of [
      "(((a{100}){100}){100})",
      "((((){999}){999}){999})",
      "a{1001}",
      `${"(".repeat(300)}a${")".repeat(300)}`,
    ]) {
      expect(() => scan(pattern, ""), pattern).toThrow(PatternError);
    }
  });
});

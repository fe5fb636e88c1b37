import { describe, expect, it } from "vitest";
import { compileSearchPattern } from "../search-pattern.ts";
import { createPatterns, createRandom } from "../search-testing.ts";
import { FileError } from "../store.ts";
import { parsePattern } from "./parse.ts";
import { requiredLiterals } from "./required.ts";

const find = (pattern: string, ignoreCase = false) =>
  requiredLiterals(parsePattern(pattern, { ignoreCase, dotAll: false }).node);

describe("requiredLiterals", () => {
  it.each<[string, string[][]]>([
    ["hello world", [["hello world"]]],
    ["hello.*world", [["hello"], ["world"]]],
    ["colou?r", [["color", "colour"]]],
    ["foo|bar", [["foo", "bar"]]],
    ["(foo|bar)bazaar", [["foobazaar", "barbazaar"]]],
    ["gr[ae]y", [["gray", "grey"]]],
    ["(?P<name>abc) world", [["abc world"]]],
    ["[^x]defg\\w+hij", [["defg"], ["hij"]]],
    ["\\x41bcdef", [["Abcdef"]]],
    ["\\Qa.b\\E", [["a.b"]]],
    ["function\\(name\\)", [["function(name)"]]],
    ["=> \\{", [["=> {"]]],
    ["abc{2}defg", [["abccdefg"]]],
    ["abcd+efgh", [["abcd"], ["defgh"]]],
    ["(abc)+", [["abc"]]],
    ["(abc)*", []],
    ["\\bword\\b", [["word"]]],
    ["^start|end$", [["start", "end"]]],
    ["foo.*|.*bar", [["foo", "bar"]]],
    ["foo|.*", []],
    ["a{0}", []],
    ["line\nbreak", [["break"]]],
    ["[a-z]{3}[0-9]{5}", []],
  ])("%j", (pattern, expected) => {
    const { clauses, ignoreCase } = find(pattern);
    const inOrder = (all: readonly (readonly string[])[]) =>
      new Set(all.map((clause) => clause.toSorted().join(" OR ")));
    expect(inOrder(clauses)).toEqual(inOrder(expected));
    expect([clauses.length, ignoreCase]).toEqual([expected.length, false]);
  });

  it("ignore case where the pattern does, and leave letters out that others fold differently", () => {
    expect(find("Hello", true)).toEqual({ clauses: [["hello"]], ignoreCase: true });
    expect(find("(?i:a)bc")).toEqual({ clauses: [["abc"]], ignoreCase: true });
    expect(find("caféteria", true).clauses).toEqual([["teria"], ["caf"]]);
    expect(find("café").clauses).toEqual([["café"]]);
  });

  it("are in every text that matches", () => {
    const patterns = createPatterns(7);
    const random = createRandom(8);
    const letters = Array.from("abct AC4é😀σ日(.\t");
    let [checked, filtered] = [0, 0];
    for (let round = 0; round < 600; round += 1) {
      const pattern = patterns();
      const ignoreCase = round % 2 === 0;
      try {
        const { clauses, ignoreCase: folded } = find(pattern, ignoreCase);
        const { matches } = withoutFilter(pattern, ignoreCase);
        for (let text = 0; text < 5; text += 1) {
          const line = Array.from({ length: random(12) }, () => letters[random(letters.length)] ?? "").join("");
          const seen = folded ? line.toLowerCase() : line;
          const holds = clauses.every((clause) =>
            clause.some((literal) => seen.includes(folded ? literal.toLowerCase() : literal)),
          );
          if (!holds) filtered += 1;
          if (matches(line)) expect(holds, `${pattern} in ${JSON.stringify(line)}`).toBe(true);
          checked += 1;
        }
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
      }
    }
    expect(filtered / checked).toBeGreaterThan(0.2);
  });
});

/** The same pattern in a form of which no literal is known. */
function withoutFilter(pattern: string, ignoreCase: boolean) {
  return compileSearchPattern(`(?:${pattern})|(?:\\d{9}\\D{9}\\d{9})`, { ignoreCase, multiline: false });
}

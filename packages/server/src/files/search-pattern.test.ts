import { describe, expect, it } from "vitest";
import { compileSearchPattern, requiredLiterals, shortenLine } from "./search-pattern.ts";
import { FileError } from "./store.ts";

const lines = (text: string, pattern: string, ignoreCase = false) =>
  compileSearchPattern(pattern, ignoreCase)
    .findLines(text, 100)
    .map((match) => match.line);

describe("dialect", () => {
  it("has word boundaries, classes and anchors of the line", () => {
    const text = "cat\nconcat\r\nthe cat sat\n42 cats\n";
    expect(lines(text, "\\bcat\\b")).toEqual([1, 3]);
    expect(lines(text, "^the")).toEqual([3]);
    expect(lines(text, "cat$")).toEqual([1, 2]);
    expect(lines(text, "\\d+")).toEqual([4]);
    expect(lines(text, "CAT", true)).toEqual([1, 2, 3, 4]);
    expect(lines(text, "(?i)CONCAT")).toEqual([2]);
    expect(lines("été\n", "\\p{L}{3}")).toEqual([1]);
  });
  it("does not cross lines", () => expect(lines("a\nb\n", "a.*b")).toEqual([]));
  it("is linear in a pattern that stalls backtracking engines", () => {
    expect(lines(`${"a".repeat(5_000)}!\n`, "^(a+)+$")).toEqual([]);
  });
  it("names what is wrong with a pattern", () => {
    expect(() => compileSearchPattern("(", false)).toThrow(FileError);
    expect(() => compileSearchPattern("a(?=b)", false)).toThrow(/RE2/);
  });
  it("shortens long lines", () => {
    expect(shortenLine("x".repeat(2_000))).toHaveLength(500 + "… [1500 more characters]".length);
  });
});

describe("requiredLiterals", () => {
  it.each<[string, string[]]>([
    ["hello world", ["hello world"]],
    ["hello.*world", ["hello", "world"]],
    ["colou?r", ["colo"]],
    ["foo|bar", []],
    ["(foo|bar)bazaar", ["bazaar"]],
    ["(?i)hello", []],
    ["(?i:hello) world", []],
    ["(?P<name>abc) world", [" world"]],
    ["[abc]defg[^]x]hij", ["defg", "hij"]],
    ["\\x41bcdef", []],
    ["\\Qa.b\\E", []],
    ["function\\(name\\)", ["function(name)"]],
    ["=> \\{", []],
    ["abc{2,3}defg", ["defg"]],
    ["abcd+efgh", ["abcd", "efgh"]],
    ["[[:alpha:]]xyz", ["xyz"]],
  ])("%s", (pattern, expected) => expect(requiredLiterals(pattern)).toEqual(expected));

  it("never claims a literal that a match lacks", () => {
    const parts = [
      "abc",
      "x",
      "d?",
      "e*",
      "f+",
      "(gh|i)",
      "(jkl)?",
      "[mn]",
      "\\.",
      ".",
      "[^a]",
      "o{2}",
      "\\w",
      "pqr",
      "|",
      "^",
      "$",
      "\\bst",
    ];
    const texts = [
      "abcxdefghjklmnop",
      "abc.x",
      "pqr stu",
      "xxabcpqr",
      "oo",
      "ghi",
      "abcabcpqrpqr.",
      "jklpqrabc x",
      "st abc",
    ];
    let seed = 5;
    const random = (limit: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % limit;
    };
    let matched = 0;
    for (let round = 0; round < 4_000; round += 1) {
      const pattern = Array.from({ length: 1 + random(5) }, () => parts[random(parts.length)]).join("");
      const literals = requiredLiterals(pattern);
      if (literals.length === 0) continue;
      for (const text of texts) {
        // Ignoring case compiles the same expression without the filter under test.
        if (!compileSearchPattern(pattern, true).matches(text)) continue;
        matched += 1;
        for (const literal of literals) expect(text, pattern).toContain(literal);
      }
    }
    expect(matched).toBeGreaterThan(200);
  });
});

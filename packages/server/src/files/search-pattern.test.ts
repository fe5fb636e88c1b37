import { describe, expect, it } from "vitest";
import { compileSearchPattern, shortenLine } from "./search-pattern.ts";
import { FileError } from "./store.ts";

function lines(text: string, pattern: string, ignoreCase = false, multiline = false): number[] {
  const search = compileSearchPattern(pattern, { ignoreCase, multiline }).search(text, 100);
  while (!search.advance());
  return search.starts.map((start) => text.slice(0, start).split("\n").length);
}

describe("dialect", () => {
  it("has word boundaries, classes and anchors of the line", () => {
    const text = "cat\nconcat\r\nthe cat sat\n42 cats\n";
    expect(lines(text, "\\bcat\\b")).toEqual([1, 3]);
    expect(lines(text, "^the")).toEqual([3]);
    expect(lines(text, "cat$")).toEqual([1, 2]);
    expect(lines("cat\ncat\n", "\\Acat")).toEqual([1]);
    expect(lines(text, "\\d+")).toEqual([4]);
    expect(lines(text, "CAT", true)).toEqual([1, 2, 3, 4]);
    expect(lines(text, "(?i)CONCAT")).toEqual([2]);
    expect(lines("été\n", "\\p{L}{3}")).toEqual([1]);
  });
  it("does not cross lines", () => expect(lines("a\nb\n", "a.*b")).toEqual([]));
  it("is linear in a pattern that stalls backtracking engines", () => {
    expect(lines(`${"a".repeat(5_000)}!\n`, "^(a+)+$")).toEqual([]);
  });
  it("takes brackets that open nothing as they are, and reads many of them in no time", () => {
    expect(lines("a[\nb\n", "[[]")).toEqual([1]);
    expect(lines("[x\ny\n", "[[x]{2}")).toEqual([1]);
    expect(lines("b\nx\n", "[a[bc]]")).toEqual([1]);
    expect(lines("[]]\n", `${"[".repeat(990)}]]`)).toEqual([1]);
  });
  it("names what is wrong with a pattern", () => {
    expect(() => lines("", "(")).toThrow(FileError);
    expect(() => lines("", "a(?=b)")).toThrow(/RE2/);
  });
  it("shortens long lines", () => {
    expect(shortenLine("x".repeat(2_000))).toHaveLength(500 + "… [1500 more characters]".length);
  });
});

import { describe, expect, it } from "vitest";
import { diffLines } from "./line-diff.ts";

const numbered = (count: number, change: (line: number) => string = String) =>
  Array.from({ length: count }, (_, index) => `${change(index + 1)}\n`).join("");

describe("the difference of two texts", () => {
  it.each([
    ["equal", "a\n", "a\n", ""],
    ["new", "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b"],
    ["emptied", "a\n", "", "@@ -1,1 +0,0 @@\n-a"],
    ["one line", "a\nb\n", "a\nc\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c"],
    ["the end of the last line", "a\n", "a", "@@ -1,1 +1,1 @@\n-a\n+a\\ (no line end)"],
  ])("%s", (_name, before, after, expected) => {
    expect(diffLines(before, after)).toBe(expected);
  });

  it("shows three lines around each change, and what is near together", () => {
    const after = numbered(30, (line) => ([10, 14, 25].includes(line) ? `${line}!` : String(line)));
    expect(diffLines(numbered(30), after).split("\n")).toEqual([
      "@@ -7,11 +7,11 @@",
      ...[" 7", " 8", " 9", "-10", "+10!", " 11", " 12", " 13", "-14", "+14!", " 15", " 16", " 17"],
      "@@ -22,7 +22,7 @@",
      ...[" 22", " 23", " 24", "-25", "+25!", " 26", " 27", " 28"],
    ]);
  });

  it("counts what was added before", () => {
    expect(diffLines(numbered(20), `0\n${numbered(20).replace("15\n", "")}`)).toMatch(
      /^@@ -1,3 \+1,4 @@[^@]*\n@@ -12,7 \+13,6 @@/,
    );
  });

  it("does not hold up the process for texts that have nothing in common", () => {
    const begun = performance.now();
    const diff = diffLines(
      numbered(20_000),
      numbered(20_000, (line) => `x${line}`),
    );
    expect(diff.split("\n").length).toBe(40_001);
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});

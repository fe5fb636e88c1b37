import { describe, expect, it } from "vitest";
import { compileGlob } from "./glob-pattern.ts";

describe("compileGlob", () => {
  it.each<[string, string, boolean]>([
    ["*.ts", "a.ts", true],
    ["*.ts", "src/a.ts", false],
    ["**/*.ts", "a.ts", true],
    ["**/*.ts", "src/deep/a.ts", true],
    ["src/**", "src/a/b", true],
    ["src/**/test/*.ts", "src/test/a.ts", true],
    ["src/**/test/*.ts", "src/x/y/test/a.ts", true],
    ["**", ".github/workflows/ci.yml", true],
    ["*.{ts,tsx}", "a.tsx", true],
    ["*.{ts,{js,mjs}}", "a.mjs", true],
    ["{src,test}/**/*.ts", "test/a.ts", true],
    ["a?.md", "ab.md", true],
    ["a?.md", "a/.md", false],
    ["[a-c]*.md", "b.md", true],
    ["[!a-c]*.md", "b.md", false],
    ["[!a]b", "/b", false],
    ["a+(b).md", "a+(b).md", true],
    ["./a.md", "a.md", true],
    ["a\\*", "a*", true],
    ["a\\*", "ab", false],
    ["a[", "a[", true],
    ["a{b", "a{b", true],
  ])("%s against %s", (pattern, path, expected) => expect(compileGlob(pattern)(path)).toBe(expected));

  it("matches the last segment when asked", () => {
    expect(compileGlob("*.ts", { anyDepth: true })("src/a.ts")).toBe(true);
    expect(compileGlob("src/*.ts", { anyDepth: true })("x/src/a.ts")).toBe(false);
  });
  it("does not stall on patterns made to backtrack", () => {
    expect(compileGlob(`${"*a".repeat(60)}b`)("a".repeat(1_000))).toBe(false);
  });
  it.each(["/etc/*", "../*", "a/../../b", "", "x".repeat(501)])("refuses %j", (pattern) => {
    expect(() => compileGlob(pattern)).toThrow();
  });
});

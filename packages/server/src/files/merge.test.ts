import { describe, expect, it } from "vitest";
import { holdsDeletions, mergeTexts, mostDeletions } from "./merge.ts";

describe("mergeTexts", () => {
  it.each<[string, string | null, string, string, string | null]>([
    ["fast-forward", "a\n", "b\n", "a\n", "b\n"],
    ["the same change", "a\n", "b\n", "b\n", "b\n"],
    ["ours unchanged", "a\n", "a\n", "b\n", "b\n"],
    ["both appended", "a\n", "a\nours\n", "a\ntheirs\n", "a\ntheirs\nours\n"],
    ["appended to a rewritten head", "a\n", "a\nours\n", "new\n", "new\nours\n"],
    ["appended without a final line feed", "a", "a\nours", "a\ntheirs", "a\ntheirs\nours"],
    ["appended to a head without one", "a\n", "a\nours\n", "theirs", "theirs\nours\n"],
    ["appended to an emptied head", "a\n", "a\nours\n", "", "ours\n"],
    ["both extended the last line", "a", "a ours", "a theirs", "a theirs ours"],
    ["extended a line that was rewritten", "a", "a ours", "new", null],
    ["different lines", "1\n2\n3\n4\n5\n", "one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n", "one\n2\n3\n4\nfive\n"],
    ["the same line", "1\n2\n3\n", "1\nours\n3\n", "1\ntheirs\n3\n", null],
    ["no base", null, "ours\n", "theirs\n", null],
    ["created twice alike", null, "same\n", "same\n", "same\n"],
    ["CRLF is kept", "1\r\n2\r\n3\r\n4\r\n", "x\r\n2\r\n3\r\n4\r\n", "1\r\n2\r\n3\r\ny\r\n", "x\r\n2\r\n3\r\ny\r\n"],
  ])("%s", (_name, base, ours, head, merged) => {
    const outcome = mergeTexts(base, ours, head);
    expect(outcome).toEqual(merged === null ? { type: "conflict" } : { type: "merged", text: merged });
  });

  it("gives up on texts whose comparison would not end", () => {
    const base = "\n".repeat(100_000);
    expect(mergeTexts(base, `x${base}`, `${base}y`)).toEqual({ type: "conflict" });
  });
});

describe("deletions", () => {
  it("are held when they look like an accident", () => {
    expect([0, 40, 100, 1_000].map(mostDeletions)).toEqual([8, 10, 25, 50]);
    expect(holdsDeletions(1, 1)).toBe(false);
    expect(holdsDeletions(2, 2)).toBe(true);
    expect(holdsDeletions(8, 20)).toBe(false);
    expect(holdsDeletions(9, 20)).toBe(true);
  });
});

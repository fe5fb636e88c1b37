import { expect, test } from "vitest";
import { cutLine, displayWidth, padLine, wrapText } from "./measure.ts";

test("wide characters take two columns, combining marks none", () => {
  expect(displayWidth("abc")).toBe(3);
  expect(displayWidth("漢字")).toBe(4);
  expect(displayWidth("🚀")).toBe(2);
  expect(displayWidth("e\u0301")).toBe(1);
});

test("breaks at spaces and keeps every word", () => {
  const text = "the quick brown fox jumps over the lazy dog";
  const lines = wrapText(text, 12);
  expect(lines.every((line) => displayWidth(line) <= 12)).toBe(true);
  expect(lines.join(" ")).toBe(text);
});

test("breaks a word that is longer than the column, losing nothing", () => {
  const word = "x".repeat(25);
  expect(wrapText(word, 10)).toEqual(["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
  expect(wrapText("漢".repeat(7), 5).join("")).toBe("漢".repeat(7));
});

test("keeps indentation and empty lines", () => {
  expect(wrapText("  alpha beta gamma\n\nend", 12)).toEqual(["  alpha beta", "  gamma", "", "end"]);
});

test("ends also where nothing fits", () => {
  expect(wrapText("漢字", 1)).toEqual(["漢", "字"]);
  expect(wrapText("    漢字", 2)).toEqual(["漢", "字"]);
  expect(wrapText(`${" ".repeat(30)}x`, 4).every((line) => displayWidth(line) <= 4)).toBe(true);
});

test("cuts and pads to exactly the column", () => {
  expect(cutLine("abcdef", 4)).toBe("abc…");
  expect(cutLine("abcd", 4)).toBe("abcd");
  expect(displayWidth(padLine("漢", 5))).toBe(5);
});

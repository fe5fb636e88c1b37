import { expect, test } from "vitest";
import { escapeForTerminal, escapeToLine } from "./escape.ts";

test("keeps newlines, tabs, letters of every script and emoji", () => {
  const text = "a\tb\nżółć 漢字 ✔️ 🚀 שלום";
  expect(escapeForTerminal(text)).toBe(text);
});

test("a line end of two characters becomes one, a lone carriage return is shown", () => {
  expect(escapeForTerminal("a\r\nb\rc")).toBe("a\nb\\x0dc");
});

const dangerous: readonly (readonly [string, string, string])[] = [
  ["escape sequence", "\u001b[31m", "\\x1b[31m"],
  ["clipboard by OSC 52", "\u001b]52;c;YQ==\u0007", "\\x1b]52;c;YQ==\\x07"],
  ["C1 introducer", "\u009b2J", "\\x9b2J"],
  ["delete and backspace", "\u007f\b", "\\x7f\\x08"],
  ["right-to-left override", "a\u202eb", "a\\u202eb"],
  ["isolate", "\u2066x\u2069", "\\u2066x\\u2069"],
  ["Arabic letter mark", "\u061c", "\\u061c"],
  ["zero-width space, joiner, no-break", "\u200b\u200d\ufeff", "\\u200b\\u200d\\ufeff"],
  ["soft hyphen", "a\u00adb", "a\\xadb"],
  ["line separator", "\u2028", "\\u2028"],
  ["tag characters", "\u{e0041}", "\\u{e0041}"],
  ["Hangul filler", "\u3164", "\\u3164"],
  ["lone surrogate", "\ud800x", "\\ud800x"],
  ["variation selector that follows no emoji", "a\ufe0f", "a\\ufe0f"],
];
test.each(dangerous)("shows %s", (_name, text, shown) => {
  expect(escapeForTerminal(text)).toBe(shown);
});

test("nothing that a terminal interprets is left, whatever comes in", () => {
  const everything = Array.from({ length: 0x300 }, (_, code) => String.fromCharCode(code)).join("");
  // oxlint-disable-next-line no-control-regex
  expect(escapeForTerminal(everything)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
});

test("one line stays one line", () => {
  expect(escapeToLine("  a\n\n b\tc\u001b ")).toBe("a b c\\x1b");
});

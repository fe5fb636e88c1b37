import { expect, it } from "vitest";
import { storableJson } from "./storable-json.ts";

it.each([
  ["a\0b", "a\ufffdb"],
  ["half \ud83d, half \ude00", "half \ufffd, half \ufffd"],
  ["whole 😀", "whole 😀"],
  ["\\u0000 \\ud800 \\\\u0000", "\\u0000 \\ud800 \\\\u0000"],
  ["\\\0", "\\\ufffd"],
  ['\u0001\t\n"\u2028', '\u0001\t\n"\u2028'],
])("%j is stored as %j, as a value and as a name", (text, stored) => {
  expect(JSON.parse(storableJson({ [text]: [text] }))).toEqual({ [stored]: [stored] });
});

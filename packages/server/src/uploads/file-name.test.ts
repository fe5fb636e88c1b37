import { describe, expect, it } from "vitest";
import { contentDisposition, safeFileName, safeMediaType } from "./file-name.ts";

describe("safeFileName", () => {
  it.each<[string | null, string, string]>([
    ["a.txt", "text/plain", "a.txt"],
    ["../../etc/passwd", "text/plain", "passwd"],
    ["C:\\temp\\b.png", "image/png", "b.png"],
    ["in\u202etxt.exe", "text/plain", "intxt.exe"],
    ["a\r\nb\0.md", "text/markdown", "ab.md"],
    [null, "application/pdf", "unnamed.pdf"],
    ["..", "x/y", "unnamed"],
    ["dir/", "text/csv", "unnamed.csv"],
    [`${"n".repeat(300)}.txt`, "text/plain", `${"n".repeat(251)}.txt`],
    ["\ud800.txt", "text/plain", "\ufffd.txt"],
  ])("%j is %j", (sent, type, expected) => expect(safeFileName(sent, type)).toBe(expected));
});

describe("safeMediaType", () => {
  it.each<[string | null, string]>([
    ["Text/Plain; charset=utf-8", "text/plain"],
    ["image/svg+xml", "image/svg+xml"],
    [null, "application/octet-stream"],
    ["text/html\r\nx: y", "application/octet-stream"],
    ["nonsense", "application/octet-stream"],
  ])("%j is %j", (sent, expected) => expect(safeMediaType(sent)).toBe(expected));
});

it("contentDisposition holds nothing that ends a header or a quoted string", () => {
  expect(contentDisposition('a"b\\c%ä.txt')).toBe(
    `attachment; filename="a_b_c__.txt"; filename*=UTF-8''a%22b%5Cc%25%C3%A4.txt`,
  );
});

import { createRandom } from "@exoloop/sandbox/testing/random";
import { describe, expect, it } from "vitest";
import { ancestorsBelow, foldPath, isWithin, relativePath, resolvePath, storedPath } from "./path.ts";
import { FileError } from "./store.ts";

const pieces = [
  "a",
  "B",
  "..",
  ".",
  "",
  "é",
  "e\u0301",
  "…",
  "日本",
  " ",
  "x y",
  "~",
  "*",
  "\\",
  "-",
  "a.md",
  "\u202e",
  "\t",
];

function randomPath(random: () => number): string {
  const length = Math.floor(random() * 9);
  const segments = Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)] ?? "");
  return (random() < 0.6 ? "/" : "") + segments.join("/");
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return "none";
  } catch (error) {
    return error instanceof FileError ? error.code : String(error);
  }
}

describe("resolvePath", () => {
  it.each([
    ["a.ts", "/workspace/a.ts"],
    ["./src//a.ts/", "/workspace/src/a.ts"],
    ["/memory/org/../org/x.md", "/memory/org/x.md"],
    ["..", "/"],
    ["/", "/"],
    ["/tmp/.", "/tmp"],
  ])("%s → %s", (written, resolved) => expect(resolvePath(written)).toBe(resolved));

  it.each(["", "/..", "../..", "/a/../../b", "/a\0b", "/\ud800", `/${"a".repeat(5000)}`])("refuses %j", (written) => {
    expect(codeOf(() => resolvePath(written))).toBe("invalid_path");
  });

  it("is absolute, free of relative segments, and a fixed point, whatever was written", () => {
    const random = createRandom(7).next;
    for (let round = 0; round < 5_000; round += 1) {
      const written = randomPath(random);
      let resolved: string;
      try {
        resolved = resolvePath(written);
      } catch (error) {
        expect(error, written).toBeInstanceOf(FileError);
        continue;
      }
      expect(resolved.startsWith("/"), written).toBe(true);
      if (resolved !== "/") expect(resolved.slice(1).split("/")).not.toContain("");
      expect(resolved.split("/")).not.toContain("..");
      expect(resolved.split("/")).not.toContain(".");
      expect(resolvePath(resolved)).toBe(resolved);
    }
  });
});

describe("storedPath", () => {
  it("composes", () => expect(storedPath("/memory/org/e\u0301.md")).toBe("/memory/org/é.md"));

  it.each([
    "/memory/org/\u202etxt.md",
    "/memory/org/a\u200bb",
    "/memory/org/a\nb",
    "/memory/org/ a",
    `/memory/org/${"é".repeat(128)}`,
    `/memory/${"a/".repeat(20)}b`,
    `/memory/${"abcdefghi/".repeat(18)}${"x".repeat(250)}/${"y".repeat(250)}/${"z".repeat(250)}/${"w".repeat(250)}`,
  ])("refuses %j", (path) => expect(codeOf(() => storedPath(path))).toBe("invalid_path"));

  it("is a fixed point and stays below its mount", () => {
    const random = createRandom(11).next;
    for (let round = 0; round < 5_000; round += 1) {
      const written = `/memory/org/${randomPath(random)}x`;
      let stored: string;
      try {
        stored = storedPath(resolvePath(written));
      } catch (error) {
        expect(error, written).toBeInstanceOf(FileError);
        continue;
      }
      expect(storedPath(stored)).toBe(stored);
      expect(foldPath(foldPath(stored))).toBe(foldPath(stored));
    }
  });
});

describe("relations", () => {
  it("knows what lies within what", () => {
    expect(isWithin("/memory", "/memory")).toBe(true);
    expect(isWithin("/memory", "/memory/a")).toBe(true);
    expect(isWithin("/memory", "/memorya")).toBe(false);
    expect(isWithin("/", "/anything")).toBe(true);
  });
  it("lists ancestors below a root", () => {
    expect(ancestorsBelow("/memory/org", "/memory/org/a/b/c.md")).toEqual(["/memory/org/a", "/memory/org/a/b"]);
    expect(ancestorsBelow("/memory/org", "/memory/org/c.md")).toEqual([]);
  });
  it("makes relative", () => {
    expect(relativePath("/", "/a/b")).toBe("a/b");
    expect(relativePath("/a", "/a/b")).toBe("b");
  });
});

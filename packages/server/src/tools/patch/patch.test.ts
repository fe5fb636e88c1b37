import { describe, expect, it } from "vitest";
import { applyChunks } from "./apply.ts";
import { parseAdded, parseDiff, parsePatch } from "./parse.ts";

const patchOf = (...lines: string[]) => ["*** Begin Patch", ...lines, "*** End Patch"].join("\n");

describe("parsePatch", () => {
  it("reads every kind of change", () => {
    const text = patchOf(
      "*** Add File: a/b.txt",
      "+one",
      "+",
      "*** Delete File: gone.txt",
      "*** Update File: c.ts",
      "*** Move to: d.ts",
      "@@ class A",
      "@@ method()",
      " stays",
      "-goes",
      "+comes",
      "",
      "@@",
      "-last",
      "*** End of File",
    );
    expect(parsePatch(text)).toEqual([
      { type: "add", path: "a/b.txt", text: "one\n\n" },
      { type: "delete", path: "gone.txt" },
      {
        type: "update",
        path: "c.ts",
        moveTo: "d.ts",
        chunks: [
          {
            anchors: ["class A", "method()"],
            lines: [
              { mark: " ", text: "stays" },
              { mark: "-", text: "goes" },
              { mark: "+", text: "comes" },
              { mark: " ", text: "" },
            ],
            atEnd: false,
          },
          { anchors: [], lines: [{ mark: "-", text: "last" }], atEnd: true },
        ],
      },
    ]);
  });

  it("takes a move alone, carriage returns, and a here-document around it", () => {
    const moved = { type: "update", path: "a", moveTo: "b", chunks: [] };
    const text = patchOf("*** Update File: a", "*** Move to: b");
    expect(parsePatch(text)).toEqual([moved]);
    expect(parsePatch(text.replaceAll("\n", "\r\n"))).toEqual([moved]);
    expect(parsePatch(`apply_patch <<'EOF'\n${text}\nEOF\n`)).toEqual([moved]);
  });

  it.each([
    ["", "The first line of the patch must be '*** Begin Patch'"],
    ["*** Begin Patch\n*** Delete File: a", "The last line of the patch must be '*** End Patch'"],
    [patchOf(), "names no file"],
    [patchOf("what"), "Invalid patch hunk on line 2: 'what' is not a valid hunk header"],
    [patchOf("*** Update File: a"), "Update file hunk for path 'a' is empty"],
    [patchOf("*** Update File: a", "@@", "!x"), "Invalid patch hunk on line 4: Unexpected line found"],
    [patchOf("*** Add File: a", "x"), "Invalid patch hunk on line 3: a line of a new file"],
    [patchOf("*** Delete File:  "), "the path is empty"],
  ])("%j: %s", (text, expected) => {
    expect(() => parsePatch(text)).toThrow(expected);
  });
});

it("refuses a patch of more files than are changed at once", () => {
  const deletions = (count: number) =>
    patchOf(...Array.from({ length: count }, (_none, index) => `*** Delete File: ${index}`));
  expect(parsePatch(deletions(1_000))).toHaveLength(1_000);
  expect(() => parsePatch(deletions(1_001))).toThrow("more than 1000 files");
});

describe("applyChunks", () => {
  const apply = (text: string, ...diff: string[]) => applyChunks("a.txt", text, parseDiff(diff.join("\n")));

  it.each<[string, string, string[], string]>([
    ["replaces a line", "one\ntwo\nthree\n", [" one", "-two", "+2"], "one\n2\nthree\n"],
    ["keeps a missing last line end", "one\ntwo", [" one", "-two", "+2"], "one\n2"],
    ["keeps carriage returns", "one\r\ntwo\r\n", ["-two", "+2", "+3"], "one\r\n2\r\n3\r\n"],
    ["keeps each line's own end", "one\ntwo\r\nthree\r\n", [" one", " two", "-three", "+3"], "one\ntwo\r\n3\r\n"],
    ["begins below an anchor", "a\nx\nb\nx\n", ["@@ b", "-x", "+y"], "a\nx\nb\ny\n"],
    ["narrows down by several anchors", "a\nm\nx\nb\nm\nx\n", ["@@ b", "@@ m", "-x", "+y"], "a\nm\nx\nb\nm\ny\n"],
    ["goes on where the last chunk ended", "x\nx\n", ["-x", "+1", "@@", "-x", "+2"], "1\n2\n"],
    ["prefers the end where asked to", "x\ny\nx\n", ["-x", "+z", "*** End of File"], "x\ny\nz\n"],
    ["adds at the end", "one\n", ["+two"], "one\ntwo\n"],
    ["adds below an anchor", "one\ntwo\n", ["@@ one", "+1.5"], "one\n1.5\ntwo\n"],
    ["adds to an empty file", "", ["+one"], "one\n"],
    ["deletes every line", "one\n", ["-one"], ""],
    ["forgives spaces, and keeps the file's own", "  one  \ntwo\n", [" one", "-two", "+2"], "  one  \n2\n"],
    ["forgives typographic signs", "a — “b”\nc\n", [' a - "b"', "-c", "+d"], "a — “b”\nd\n"],
    ["forgives an empty line of context at the end", "one\n", ["-one", "+1", " "], "1\n"],
    ["ignores numbers of lines", "one\n", ["@@ -1,1 +1,1 @@", "-one", "+1"], "1\n"],
    ["knows no special characters", "a.b\n$&\n", ["-$&", "+$1"], "a.b\n$1\n"],
  ])("%s", (_name, text, diff, expected) => {
    expect(apply(text, ...diff)).toBe(expected);
  });

  it("says which lines are not there", () => {
    expect(() => apply("one\n", " none", "-two")).toThrow("Failed to find expected lines in a.txt:\nnone\ntwo");
    expect(() => apply("one\n", "@@ def f", "-one")).toThrow("Failed to find context 'def f' in a.txt");
    expect(() => apply("one\n", "*** Delete File: a")).toThrow("a header of a file has no place in it");
    expect(() => parseAdded("one")).toThrow("must begin with '+'");
  });

  it("does not hold up the process, whatever repeats", () => {
    const text = "same line\n".repeat(50_000);
    const repeated = [...Array.from({ length: 20_000 }, () => " same line"), "-other"];
    expect(() => apply(text, ...repeated)).toThrow("Failed to find");
    const parts = Array.from({ length: 5_000 }, () => ["@@", "- same line", "+x"]).flat();
    expect(() => apply(text, ...parts)).toThrow("too many parts");
    // All files of one patch together.
    const [work, chunks] = [{ looks: 0 }, parseDiff("-same line\n+x")];
    const many = () => Array.from({ length: 500 }, () => applyChunks("a.txt", text, chunks, work));
    expect(many).toThrow("too many parts");
  });
});

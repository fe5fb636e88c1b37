import { describe, expect, it } from "vitest";
import { isWithin } from "./path.ts";
import { startSearch } from "./search-request.ts";
import { FileError, type GrepRequest } from "./store.ts";

const texts: Readonly<Record<string, string>> = {
  "/m/a.md": "one\ntwo\nthree\nfour\nfive\nsix\nseven\n",
  "/m/b.ts": "six\nfive",
  "/m/deep/c.py": "nothing\n",
};

async function search(request: Partial<GrepRequest>) {
  const started = startSearch({ pattern: "five|six", path: "/m", ignoreCase: false, maximumMatches: 100, ...request });
  for (const [path, text] of Object.entries(texts)) {
    if (isWithin(request.path ?? "/m", path) && started.wants(path) && !(await started.add(path, text))) break;
  }
  return started.result();
}
const shown = async (request: Partial<GrepRequest>) =>
  (await search(request)).lines.map((line) => `${line.path}${line.isContext ? "-" : ":"}${line.line}:${line.text}`);

describe("lines", () => {
  it("are shown with those around them, each once", async () => {
    expect(await shown({ pattern: "two|five", before: 1, after: 1, glob: "*.md" })).toEqual([
      "/m/a.md-1:one",
      "/m/a.md:2:two",
      "/m/a.md-3:three",
      "/m/a.md-4:four",
      "/m/a.md:5:five",
      "/m/a.md-6:six",
    ]);
    expect(await shown({ pattern: "three|five", before: 2, after: 2, glob: "*.md" })).toHaveLength(7);
    expect(await shown({ pattern: "five", before: 100, after: 100, path: "/m/b.ts" })).toEqual([
      "/m/b.ts-1:six",
      "/m/b.ts:2:five",
    ]);
    expect(await shown({ pattern: "seven", after: 3, glob: "*.md" })).toEqual(["/m/a.md:7:seven"]);
    expect(await shown({ pattern: "one", before: 3, glob: "*.md" })).toEqual(["/m/a.md:1:one"]);
  });

  it("are as many as wanted, and it is told whether there are more", async () => {
    expect(await search({ maximumMatches: 3 })).toMatchObject({ lines: { length: 3 }, stopped: "maximum" });
    expect(await search({ maximumMatches: 4 })).toMatchObject({ lines: { length: 4 }, stopped: null });
    expect(await search({ maximumMatches: 0 })).toMatchObject({ lines: [], stopped: "maximum" });
  });

  it("of a match over several lines all match", async () => {
    expect(await shown({ pattern: "two\nthree\nf", multiline: true })).toEqual([
      "/m/a.md:2:two",
      "/m/a.md:3:three",
      "/m/a.md:4:four",
    ]);
    expect(await shown({ pattern: "two.*f", multiline: false })).toEqual([]);
  });
});

describe("files", () => {
  it("are named or counted", async () => {
    expect(await search({ mode: "counts" })).toEqual({
      lines: [],
      files: [
        { path: "/m/a.md", count: 2 },
        { path: "/m/b.ts", count: 2 },
      ],
      stopped: null,
    });
    expect((await search({ mode: "files" })).files.map((file) => file.path)).toEqual(["/m/a.md", "/m/b.ts"]);
    expect(await search({ mode: "files", maximumMatches: 1 })).toMatchObject({
      files: [{ path: "/m/a.md" }],
      stopped: "maximum",
    });
  });

  it("are chosen by glob and by type", async () => {
    const paths = async (request: Partial<GrepRequest>) =>
      (await search({ pattern: ".", mode: "files", ...request })).files.map((file) => file.path);
    expect(await paths({ glob: "*.{md,py}" })).toEqual(["/m/a.md", "/m/deep/c.py"]);
    expect(await paths({ glob: "!*.md" })).toEqual(["/m/b.ts", "/m/deep/c.py"]);
    expect(await paths({ glob: "deep/**" })).toEqual(["/m/deep/c.py"]);
    expect(await paths({ fileType: "python" })).toEqual(["/m/deep/c.py"]);
    expect(await paths({ fileType: "ts" })).toEqual(["/m/b.ts"]);
    await expect(paths({ fileType: "cobol" })).rejects.toThrow(FileError);
  });
});

it("stops where the lines around its matches are too many to be kept", async () => {
  const around = { pattern: "m", before: 5, after: 5, maximumMatches: 100_000 };
  const started = startSearch({ path: "/m", ignoreCase: false, ...around });
  const text = `m\n${"x\n".repeat(9)}`.repeat(9_000);
  const added = [await started.add("/m/a", text), await started.add("/m/b", text), await started.add("/m/c", text)];
  expect([added, started.result().stopped]).toEqual([[true, true, false], "maximum"]);
});

import { describe, expect, it } from "vitest";
import type { LocalFile } from "./local-tree.ts";
import { planPull, planPush, portionsOf, type StoredHead } from "./plan.ts";

const local = (...files: [path: string, sha256: string][]) =>
  new Map(
    files.map(([path, sha256]): [string, LocalFile] => [
      path,
      { path, sha256, bytes: new Uint8Array(), executable: false },
    ]),
  );
const stored = (...files: [path: string, version: number, sha256: string][]) =>
  new Map(
    files.map(([path, version, sha256]): [string, StoredHead] => [
      path,
      { path, version, sha256, executable: false, size: 0 },
    ]),
  );
const base = { "a.md": { version: 1, sha256: "one" } };

describe("a push", () => {
  const push = (...[mine, theirs, remove = false]: [ReturnType<typeof local>, ReturnType<typeof stored>, boolean?]) => {
    const { puts, deletes, conflicts } = planPush(mine, theirs, base, remove);
    return [puts.map(({ file, expected }) => [file.path, expected]), deletes.map(({ path }) => path), conflicts];
  };

  it.each([
    ["what is equal", local(["a.md", "one"]), stored(["a.md", 1, "one"]), [[], [], []]],
    [
      "what changed here replaces exactly what was pulled",
      local(["a.md", "two"]),
      stored(["a.md", 1, "one"]),
      [[["a.md", 1]], [], []],
    ],
    [
      "what is new here must be new there",
      local(["a.md", "one"], ["b.md", "x"]),
      stored(["a.md", 1, "one"]),
      [[["b.md", null]], [], []],
    ],
    ["what changed there only stays", local(["a.md", "one"]), stored(["a.md", 2, "new"]), [[], [], []]],
    [
      "what changed on both sides is a conflict",
      local(["a.md", "two"]),
      stored(["a.md", 2, "new"]),
      [[], [], ["a.md"]],
    ],
    ["what became the same on both sides is none", local(["a.md", "two"]), stored(["a.md", 2, "two"]), [[], [], []]],
    [
      "what was made on both sides is a conflict",
      local(["b.md", "x"]),
      stored(["a.md", 1, "one"], ["b.md", 1, "y"]),
      [[], [], ["b.md"]],
    ],
    ["what was deleted there and changed here is a conflict", local(["a.md", "two"]), stored(), [[], [], ["a.md"]]],
  ])("%s", (_name, mine, theirs, expected) => {
    expect(push(mine, theirs)).toEqual(expected);
  });

  it("deletes only when asked, and only the version that was pulled", () => {
    expect(push(local(), stored(["a.md", 1, "one"]))).toEqual([[], [], []]);
    expect(push(local(), stored(["a.md", 1, "one"]), true)).toEqual([[], ["a.md"], []]);
    expect(push(local(), stored(["a.md", 2, "new"]), true)).toEqual([[], [], ["a.md"]]);
  });
});

describe("a pull", () => {
  const pull = (...[mine, theirs, force = false]: [ReturnType<typeof local>, ReturnType<typeof stored>, boolean?]) => {
    const { writes, removes, conflicts } = planPull(mine, theirs, base, force);
    return [writes.map(({ path }) => path), removes, conflicts];
  };

  it.each([
    ["what is equal", local(["a.md", "one"]), stored(["a.md", 1, "one"]), [[], [], []]],
    ["what changed there", local(["a.md", "one"]), stored(["a.md", 2, "new"]), [["a.md"], [], []]],
    ["what is new there", local(["a.md", "one"]), stored(["a.md", 1, "one"], ["b.md", 1, "x"]), [["b.md"], [], []]],
    ["what changed here only stays", local(["a.md", "two"]), stored(["a.md", 1, "one"]), [[], [], []]],
    [
      "what changed on both sides is a conflict",
      local(["a.md", "two"]),
      stored(["a.md", 2, "new"]),
      [[], [], ["a.md"]],
    ],
    ["what was deleted here only stays deleted", local(), stored(["a.md", 1, "one"]), [[], [], []]],
    ["what was deleted here and changed there is a conflict", local(), stored(["a.md", 2, "new"]), [[], [], ["a.md"]]],
    ["what was deleted there goes", local(["a.md", "one"]), stored(), [[], ["a.md"], []]],
    ["what was deleted there and changed here is a conflict", local(["a.md", "two"]), stored(), [[], [], ["a.md"]]],
    [
      "a file of the same name that was never pulled is a conflict",
      local(["b.md", "mine"]),
      stored(["a.md", 1, "one"], ["b.md", 1, "x"]),
      [[], [], ["b.md"]],
    ],
  ])("%s", (_name, mine, theirs, expected) => {
    expect(pull(mine, theirs)).toEqual(expected);
  });

  it("overwrites what changed here when it is told to", () => {
    expect(pull(local(["a.md", "two"]), stored(["a.md", 2, "new"]), true)).toEqual([["a.md"], [], []]);
    expect(pull(local(["a.md", "two"]), stored(), true)).toEqual([[], ["a.md"], []]);
  });
});

describe("portions of a commit", () => {
  const put = (path: string, bytes: number) => ({ type: "put" as const, path, content: "x".repeat(bytes) });
  it("fit into a request each, in order", () => {
    const mebibyte = 1024 * 1024;
    const portions = portionsOf([
      put("a", 10 * mebibyte),
      put("b", 5 * mebibyte),
      put("c", 5 * mebibyte),
      put("d", 20 * mebibyte),
    ]);
    expect(portions.map((portion) => portion.map(({ path }) => path))).toEqual([["a", "b"], ["c"], ["d"]]);
  });
  it("hold no more than 2,000 files", () => {
    expect(
      portionsOf(Array.from({ length: 4_001 }, (_, index) => put(String(index), 0))).map((portion) => portion.length),
    ).toEqual([2_000, 2_000, 1]);
  });
});

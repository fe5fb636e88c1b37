import { lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  isKeptApart,
  readState,
  readTree,
  removeLocal,
  sha256Of,
  stateFile,
  writeLocal,
  writeState,
} from "./local-tree.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "exoloop-tree-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("reads regular files with their content and executable bit, and nothing of git, npm, links or its own", async () => {
  await writeLocal(folder, "docs/a.md", Buffer.from("text"), false);
  await writeLocal(folder, "run.sh", Buffer.from("#!/bin/sh\n"), true);
  await mkdir(join(folder, ".git"));
  await writeFile(join(folder, ".git", "config"), "x");
  await symlink("/etc/passwd", join(folder, "passwd"));
  await writeState(folder, { path: "/memory/org", files: {} });
  const tree = await readTree(folder);
  expect([...tree.values()].map(({ path, executable }) => [path, executable])).toEqual([
    ["docs/a.md", false],
    ["run.sh", true],
  ]);
  expect(tree.get("docs/a.md")?.sha256).toBe(sha256Of(Buffer.from("text")));
});

it.each(["../out", "a/../../out", "/etc/out", "a//b", ".", "a\\b", "a\0b"])("writes nothing at %j", async (path) => {
  await expect(writeLocal(folder, path, Buffer.from("x"), false)).rejects.toThrow(/no folder can hold/);
  await expect(removeLocal(folder, path)).rejects.toThrow(/no folder can hold/);
});

it.each([".git", ".git/hooks/post-commit", "a/.GIT/config", "node_modules/a/index.js", stateFile])(
  "writes nothing of git, npm or its own: %s",
  async (path) => {
    expect(isKeptApart(path)).toBe(true);
    await expect(writeLocal(folder, path, Buffer.from("x"), true)).rejects.toThrow(/kept apart/);
    await expect(removeLocal(folder, path)).rejects.toThrow(/kept apart/);
  },
);

it("follows no link out of the folder", async () => {
  const outside = await mkdtemp(join(tmpdir(), "exoloop-outside-"));
  await symlink(outside, join(folder, "link"));
  await expect(writeLocal(folder, "link/a.md", Buffer.from("x"), false)).rejects.toThrow(/no directory/);
  await expect(lstat(join(outside, "a.md"))).rejects.toThrow(/ENOENT/);
  await rm(outside, { recursive: true });
});

it("replaces a link by the file instead of writing through it", async () => {
  const target = join(folder, "target");
  await writeFile(target, "kept");
  await mkdir(join(folder, "in"));
  await symlink(target, join(folder, "in", "a.md"));
  await writeLocal(join(folder, "in"), "a.md", Buffer.from("new"), false);
  expect([await readFile(target, "utf8"), await readFile(join(folder, "in", "a.md"), "utf8")]).toEqual(["kept", "new"]);
});

it("knows what it pulled, and from where", async () => {
  const state = {
    path: "/memory/org",
    files: { "a.md": { version: 3, sha256: "0f" }, __proto__x: { version: 1, sha256: "1" } },
  };
  await writeState(folder, state);
  expect(await readState(folder, "/memory/org")).toEqual(state);
  await expect(readState(folder, "/memory/me")).rejects.toThrow(/goes with \/memory\/org/);
  for (const broken of ["{", "[]", '{"path":"/memory/org","files":{"a":{"version":"1"}}}']) {
    await writeFile(join(folder, stateFile), broken);
    await expect(readState(folder, "/memory/org")).rejects.toThrow(/delete it and pull again/);
  }
});

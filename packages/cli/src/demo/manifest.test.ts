import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { differingPaths, manifestCommand, parseManifest, readManifest } from "./manifest.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "exoloop-manifest-"));
  await mkdir(join(directory, "deep/er"), { recursive: true });
  await writeFile(join(directory, "deep/er/a file"), "one");
  await writeFile(join(directory, "empty"), "");
  await symlink("/etc/passwd", join(directory, "link"));
});
afterEach(() => rm(directory, { recursive: true }));

const fromCommand = () =>
  parseManifest(execFileSync("bash", ["-c", manifestCommand], { cwd: directory, encoding: "utf8" }));

test("the host and a command see the same content; links are named, never followed", async () => {
  const { files: manifest } = await readManifest(directory);
  expect([...manifest.keys()].toSorted()).toEqual(["deep/er/a file", "empty", "link"]);
  expect(manifest.get("link")).toBe("link:/etc/passwd");
  expect(differingPaths(manifest, fromCommand())).toEqual([]);
});

test("a changed byte, a new file and a missing file are each found", async () => {
  const { files: before } = await readManifest(directory);
  await writeFile(join(directory, "deep/er/a file"), "two");
  await writeFile(join(directory, "new"), "");
  await rm(join(directory, "empty"));
  expect(differingPaths(before, fromCommand())).toEqual(["deep/er/a file", "empty", "new"]);
  expect(differingPaths(before, fromCommand(), new Set(["new"]))).toEqual(["deep/er/a file", "empty"]);
});

test("an empty workspace is an empty manifest", async () => {
  await rm(directory, { recursive: true });
  await mkdir(directory);
  expect((await readManifest(directory)).files.size).toBe(0);
  expect(fromCommand().size).toBe(0);
});

test("what changed since an instant is named", async () => {
  await utimes(join(directory, "empty"), 1000, 1000);
  const { recent } = await readManifest(directory, 2_000_000);
  expect([...recent].toSorted()).toEqual(["deep/er/a file", "link"]);
});

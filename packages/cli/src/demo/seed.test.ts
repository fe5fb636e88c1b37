import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSeed, seedCommand } from "./seed.ts";

test("what a shell unpacks is what was packed, byte for byte, and committed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "exoloop-seed-"));
  try {
    const nasty = new TextEncoder().encode("'\"$(touch hacked)`\nEND_OF_FILE\nrm -rf /\n\\ é");
    const binary = Uint8Array.from({ length: 300 }, (_, index) => index % 256);
    const files = [
      { path: "a/nasty.txt", content: nasty },
      { path: "binary", content: binary },
      { path: "empty", content: new Uint8Array() },
    ];
    execFileSync("bash", ["-c", seedCommand(files)], { cwd: directory });
    expect(new Uint8Array(await readFile(join(directory, "a/nasty.txt")))).toEqual(nasty);
    expect(new Uint8Array(await readFile(join(directory, "binary")))).toEqual(binary);
    expect((await readFile(join(directory, "empty"))).length).toBe(0);
    const committed = execFileSync("git", ["ls-tree", "-r", "--name-only", "HEAD"], {
      cwd: directory,
      encoding: "utf8",
    });
    expect(committed.trim().split("\n")).toEqual(["a/nasty.txt", "binary", "empty"]);
    expect((await readSeed(join(directory, "a"))).map((file) => file.path)).toEqual(["nasty.txt"]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test.each(["../x", "/etc/x", "a'b", "a b", "a/../b", ""])("refuses the path %j", (path) => {
  expect(() => seedCommand([{ path, content: new Uint8Array() }])).toThrow(RangeError);
});

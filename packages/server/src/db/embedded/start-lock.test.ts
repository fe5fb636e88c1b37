import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ownIdentity, processStart } from "./process-identity.ts";
import { tryStartLock } from "./start-lock.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "exoloop-lock-"));
  path = join(directory, "start.lock");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("one holds the lock; released, another gets it; nothing is left over", () => {
  const lock = tryStartLock(path);
  expect(lock).not.toBeNull();
  expect(tryStartLock(path)).toBeNull();
  lock?.release();
  expect(existsSync(path)).toBe(false);
  const next = tryStartLock(path);
  expect(next).not.toBeNull();
  expect(readdirSync(directory)).toEqual(["start.lock"]);
});

test("the lock of a process that was killed is taken over", async () => {
  const holder = `import { tryStartLock } from ${JSON.stringify(new URL("./start-lock.ts", import.meta.url).href)};
    console.log(tryStartLock(process.argv[1]) !== null); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", holder, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  expect(line.toString().trim()).toBe("true");
  expect(tryStartLock(path)).toBeNull();
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(tryStartLock(path)).not.toBeNull();
});

test.each([
  ["a recycled process id", JSON.stringify({ pid: process.pid, start: "another start" })],
  ["a process id that is free", JSON.stringify({ pid: 2 ** 22 + 7, start: "x" })],
  ["nonsense", "{"],
])("a lock with %s does not hold", (_, text) => {
  writeFileSync(path, text);
  expect(tryStartLock(path)).not.toBeNull();
  expect(tryStartLock(path)).toBeNull();
});

test("releasing leaves the lock of another process alone", () => {
  const lock = tryStartLock(path);
  writeFileSync(path, JSON.stringify({ pid: 1, start: processStart(1) }));
  lock?.release();
  expect(existsSync(path)).toBe(true);
});

test("a process has one start, and no process has none", () => {
  expect(processStart(process.pid)).toBe(ownIdentity().start);
  expect(ownIdentity().start).not.toBe("");
  expect(processStart(2 ** 22 + 7)).toBeNull();
});

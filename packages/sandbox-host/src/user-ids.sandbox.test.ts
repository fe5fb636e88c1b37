/** Leases of user ids, on a machine where this process is root. */
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, it } from "vitest";
import { leaseUserId, returnUserId } from "./user-ids.ts";

const root = mkdtempSync(join(tmpdir(), "exoloop-leases-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;
/** Beside the ids of real sandboxes. */
const range = (offset: number, count: number) => ({ first: 1_879_300_000 + offset, count });

function directory(name: string): string {
  const path = join(root, name);
  mkdirSync(path);
  return path;
}

it.runIf(isRoot)("gives an id again when its sandbox has no directory, and not before", () => {
  const one = leaseUserId(range(0, 2), directory("one"));
  const two = leaseUserId(range(0, 2), directory("two"));
  expect(two).not.toBe(one);
  expect(() => leaseUserId(range(0, 2), directory("three"))).toThrow("in use");
  rmSync(join(root, "one"), { recursive: true });
  expect(leaseUserId(range(0, 2), join(root, "three"))).toBe(one);
  returnUserId(one);
  returnUserId(two);
});

it.runIf(isRoot)("does not give an id again while a process still has it", async () => {
  const userId = leaseUserId(range(10, 1), directory("struck"));
  const survivor = spawn("sleep", ["30"], { uid: userId, gid: userId, cwd: "/", stdio: "ignore" });
  await new Promise((resolve) => survivor.once("spawn", resolve));
  rmSync(join(root, "struck"), { recursive: true });
  expect(() => leaseUserId(range(10, 1), directory("next"))).toThrow("in use");
  const ended = new Promise((resolve) => survivor.once("exit", resolve));
  survivor.kill("SIGKILL");
  await ended;
  expect(leaseUserId(range(10, 1), join(root, "next"))).toBe(userId);
  returnUserId(userId);
});

it.runIf(isRoot)("gives no id twice to daemons that ask at once", async () => {
  const run = promisify(execFile);
  const asked = Array.from({ length: 4 }, async (_, index) => {
    const path = directory(`racing-${index}`);
    const script = `
      import { leaseUserId } from ${JSON.stringify(join(import.meta.dirname, "user-ids.ts"))};
      const ids = Array.from({ length: 20 }, () => leaseUserId({ first: 1879300100, count: 200 }, ${JSON.stringify(path)}));
      process.stdout.write(JSON.stringify(ids));`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
    return JSON.parse(stdout) as number[];
  });
  const ids = (await Promise.all(asked)).flat();
  expect(new Set(ids).size).toBe(80);
  ids.forEach(returnUserId);
});

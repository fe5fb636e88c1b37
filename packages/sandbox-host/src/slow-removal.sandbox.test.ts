/**
 * Files that take long to remove: the sandbox is gone, nobody waits for its files, and the next daemon goes on with them.
 * A million files take minutes; here rm(1) waits until it may.
 */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { type TestHost, openTestHost, resources, until } from "./test-host.ts";
import { listLeases, processesOfSlot } from "./user-ids.ts";

const programs = mkdtempSync(join(tmpdir(), "exoloop-slow-"));
const hold = join(programs, "hold");
const searchPath = process.env["PATH"] ?? "";
const patienceMs = 30_000;

let test: TestHost;
beforeAll(async () => {
  const script = `#!/bin/sh\nwhile [ -e ${hold} ]; do sleep 0.05; done\nPATH=\${PATH#*:} exec rm "$@"\n`;
  writeFileSync(join(programs, "rm"), script);
  chmodSync(join(programs, "rm"), 0o755);
  process.env["PATH"] = `${programs}:${searchPath}`;
  test = await openTestHost();
});
afterAll(async () => {
  rmSync(hold, { force: true });
  await test.close();
  process.env["PATH"] = searchPath;
  rmSync(programs, { recursive: true });
});

/** A sandbox that has been destroyed, its directory still being removed. */
async function destroySlowly(): Promise<{ readonly doomed: Sandbox; readonly directory: string }> {
  rmSync(hold, { force: true });
  const doomed = await test.sandbox();
  const directory = test.directoryOf(doomed);
  await doomed.session.run({ command: "echo kept > /workspace/file" });
  writeFileSync(hold, "");
  await doomed.destroy();
  return { doomed, directory };
}

function isLeased(directory: string): boolean {
  return process.getuid?.() === 0 && listLeases(dirname(directory)).has(directory);
}

it(
  "answers while files are removed: another sandbox of that id has a place and a user of its own",
  { timeout: patienceMs },
  async () => {
    const { doomed, directory } = await destroySlowly();
    const { id } = doomed.reference;
    expect(existsSync(join(directory, "workspace", "file"))).toBe(true);
    expect(isLeased(directory)).toBe(process.getuid?.() === 0);
    expect(test.host.directoryOf(id)).toBeNull();
    const next = await test.provider.create({ id, owner: "test", resources, environment: {} });
    await next.resume();
    expect(test.directoryOf(next)).not.toBe(directory);
    expect((await next.session.run({ command: "ls /workspace" })).stdout).toBe("");
    rmSync(hold);
    await until(() => !existsSync(directory) && !isLeased(directory), "its files are gone");
    expect(test.directoryOf(next)).not.toBe(directory);
  },
);

it("a later daemon starts without waiting for them, and removes them", { timeout: patienceMs }, async () => {
  const { directory } = await destroySlowly();
  await test.crash();
  for (const pid of processesOfSlot(basename(directory))) process.kill(pid, "SIGKILL");
  await test.restart();
  expect(existsSync(join(directory, "workspace", "file"))).toBe(true);
  rmSync(hold);
  await until(() => !existsSync(directory) && !isLeased(directory), "its files are gone");
});

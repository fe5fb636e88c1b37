/** A workload that is never where it was looked for: every process of it forks and ends. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findProgram, findRunsc } from "./machine-programs.ts";
import { type TestHost, newSandboxId, openTestHost, resources, until } from "./test-host.ts";

let test: TestHost;
beforeAll(async () => {
  test = await openTestHost({ suspend: "signal" });
});
afterAll(() => test.close());

const chain = `
import os
while True:
    if os.fork(): os._exit(0)
    os.write(2, b"x")
`;
/** Its first thread ends, others go on: /proc calls it a zombie. */
const headless = `
import ctypes, threading, time
def count():
    while True:
        with open("/workspace/count", "a") as file: file.write("x")
        time.sleep(0.01)
threading.Thread(target=count).start()
ctypes.CDLL(None).pthread_exit(0)
`;
/** Who has called vfork waits in the kernel for as long as its child stands still. */
const waiting = `
import ctypes, time
ctypes.CDLL(None).vfork()
open("/workspace/forked", "w").close()
time.sleep(1000)
`;
/** The same as the chain, in C: some hundred microseconds for each. */
const fastChain = `
#include <unistd.h>
int main(void) {
  for (;;) {
    if (fork() != 0) _exit(0);
    if (write(2, "x", 1) != 1) return 1;
  }
}
`;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("where only signals can stop the workload", () => {
  it("a chain of forks is killed when its command's time is up", async () => {
    const sandbox = await test.sandbox();
    const command = `python3 -c '${chain}' 2>>/workspace/count & sleep 20`;
    const { exit } = await sandbox.session.run({ command, timeoutMs: 1_000 });
    expect(exit).toEqual({ type: "timed_out" });
    await pause(200);
    const count = () => readFileSync(join(test.directoryOf(sandbox), "workspace/count")).length;
    const before = count();
    expect(before).toBeGreaterThan(0);
    await pause(300);
    expect(count()).toBe(before);
    await sandbox.destroy();
  });

  it("a process whose first thread has ended stands still, and goes on", async () => {
    const sandbox = await test.sandbox();
    await sandbox.session.run({ command: `(python3 -c '${headless}' &) ; sleep 0.5` });
    const count = () => readFileSync(join(test.directoryOf(sandbox), "workspace/count")).length;
    await sandbox.suspend();
    await pause(50);
    const before = count();
    expect(before).toBeGreaterThan(0);
    await pause(300);
    expect(count()).toBe(before);
    await sandbox.resume();
    await pause(300);
    expect(count()).toBeGreaterThan(before);
    await sandbox.destroy();
  });

  it("a process that waits in the kernel for one that stands still is no reason to give up", async () => {
    const sandbox = await test.sandbox();
    await sandbox.session.run({ command: `python3 -c '${waiting}' &` });
    await until(async () => (await sandbox.session.stat({ path: "/workspace/forked" })) !== null, "it has forked");
    await sandbox.suspend();
    expect((await sandbox.status()).state).toBe("suspended");
    await sandbox.resume();
    expect((await sandbox.session.run({ command: "echo alive" })).stdout).toBe("alive\n");
    await sandbox.destroy();
  });
});

const runsc = findRunsc();
if (runsc === null) process.stderr.write("gVisor is not tested: node scripts/setup/gvisor.mjs fetches it\n");

/** In Python where there is no compiler. */
function buildChain(): Buffer {
  const compiler = findProgram("cc");
  if (compiler === null) return Buffer.from(`#!/usr/bin/python3\n${chain}`);
  const directory = mkdtempSync(join(tmpdir(), "exoloop-chain-"));
  const program = join(directory, "chain");
  try {
    execFileSync(compiler, ["-O2", "-static", "-x", "c", "-", "-o", program], { input: fastChain });
    return readFileSync(program);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** How often chains moved that should have stood still. */
async function countMoves(host: TestHost, suspensions: number): Promise<number> {
  const provider = await createLocalProvider({ socketPath: host.host.socketPath, runtime: "gvisor" });
  const sandbox = await provider.create({ id: newSandboxId(), owner: "test", resources, environment: {} });
  const { session } = sandbox;
  const content = buildChain();
  await session.placeEntries({ entries: [{ kind: "file", path: "/workspace/chain", mode: 0o755, content }] });
  await sandbox.resume();
  await session.spawn({ command: "for i in 1 2 3; do ./chain 2>> count & done; sleep 1000" });
  const file = join(host.directoryOf(sandbox), "workspace/count");
  const count = () => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  let moved = 0;
  for (let round = 0; round < suspensions; round++) {
    const start = count();
    await sandbox.resume();
    await until(() => count() > start + 20, "the chains run");
    await sandbox.suspend();
    const before = count();
    await pause(20);
    await session.readBinaryFile({ path: "/workspace/chain" });
    await pause(20);
    if (count() !== before) moved++;
  }
  await sandbox.destroy();
  await provider.close();
  return moved;
}

describe.skipIf(runsc === null)("where the supervisor shares its processes with the workload", () => {
  it("chains of forks stand still in each of 100 suspensions, by signals alone", { timeout: 240_000 }, async () => {
    expect(await countMoves(test, 100)).toBe(0);
  });

  it("and where all of it sleeps, also while a file is read", { timeout: 240_000 }, async () => {
    const whole = await openTestHost();
    expect(await countMoves(whole, 100)).toBe(0);
    await whole.close();
  });
});

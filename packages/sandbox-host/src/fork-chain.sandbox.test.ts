/** A workload that is never where it was looked for: every process of it forks and ends. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, openTestHost } from "./test-host.ts";

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
});

/** What runs beside the workload, outside of the group that sleeps, has the workload's user id. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, collect, openTestHost, until } from "./test-host.ts";

let test: TestHost;
beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test.close());

/**
 * Opens the memory of every process that is not in its group, in the moment in which it appears. What it is, is read
 * after the opening: a process that has ended leaves its group, its memory opens and holds nothing, and it is nothing.
 */
const writer = `
import os, time
own = open("/proc/self/cgroup").read()
found = set()
end = time.time() + 4
while time.time() < end:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open("/proc/%s/cgroup" % name).read() == own: continue
            open("/proc/%s/mem" % name, "r+b").close()
            found.add(os.readlink("/proc/%s/exe" % name))
        except OSError: pass
print(sorted(found))
`;

describe("a workload", () => {
  it("cannot write into what becomes a command while that is not yet in its group", async () => {
    const sandbox = await test.sandbox();
    const writing = await sandbox.session.spawn({ command: `python3 -c '${writer}'` });
    for (let round = 0; round < 30; round++) await sandbox.session.run({ command: "sleep 0.02" });
    expect(await collect(writing)).toBe("[]\n");
    await sandbox.destroy();
  });

  it("has nothing that runs on while it sleeps in a helper that ran when it was awake", async () => {
    const sandbox = await test.sandbox();
    const counting = "while :; do echo x >> /workspace/count; sleep 0.01; done";
    const helper = await sandbox.session.spawn({ command: counting, scope: "maintenance", timeoutMs: 5_000 });
    const count = () => readFileSync(join(test.directoryOf(sandbox), "workspace/count")).length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    await sandbox.suspend();
    expect(await helper.wait()).toMatchObject({ type: "signalled" });
    const before = count();
    const later = await sandbox.session.spawn({ command: counting, scope: "maintenance" });
    await until(() => count() > before, "one that begins later runs");
    await sandbox.suspend();
    const then = count();
    await until(() => count() > then, "it runs on: nothing awake was near it");
    await later.kill();
    await sandbox.destroy();
  });
});

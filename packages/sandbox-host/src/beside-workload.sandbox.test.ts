/** What runs beside the workload, outside of the group that sleeps, has the workload's user id. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type TestHost, collect, openTestHost, until } from "./test-host.ts";

let test: TestHost;
beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test.close());

/**
 * Opens the memory of every process that is not in its group, in the moment in which it appears. What it is, is read
 * after the opening: a process that has ended leaves its group, its memory opens and holds nothing, and it is nothing. One
 * that has entered the group since it was looked at was opened there.
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
            if open("/proc/%s/cgroup" % name).read() == own: continue
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

  it("cannot write into what serves its files, and that goes on while it sleeps", async () => {
    const sandbox = await test.sandbox();
    const content = randomBytes(24 << 20);
    await sandbox.session.writeBinaryFile({ path: "/workspace/large", content });
    const writing = await sandbox.session.spawn({ command: `python3 -c '${writer}'` });
    for (let round = 0; round < 30; round++) {
      const provider = await createLocalProvider({ socketPath: test.host.socketPath });
      const again = await provider.attach(sandbox.reference);
      await again.session.stat({ path: "/workspace" });
      await provider.close();
    }
    expect(await collect(writing)).toBe("[]\n");
    const reading = (await sandbox.session.readFile({ path: "/workspace/large" }))?.getReader();
    const parts = [(await reading?.read())?.value ?? Buffer.alloc(0)];
    await sandbox.suspend();
    for (let part = await reading?.read(); part?.done === false; part = await reading?.read()) parts.push(part.value);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
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

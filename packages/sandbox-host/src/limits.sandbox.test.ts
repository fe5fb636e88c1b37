/** What a sandbox may use of the machine, with a neighbour beside it. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { type TestHost, openTestHost, resources, until } from "./test-host.ts";

let test: TestHost;
let neighbour: Sandbox;
beforeAll(async () => {
  test = await openTestHost();
  neighbour = await test.sandbox();
});
afterAll(() => test.close());

const answers = async (sandbox: Sandbox) => (await sandbox.session.run({ command: "echo alive" })).stdout;

describe("limits", () => {
  it("hold busy loops to the processor quota", async () => {
    expect(test.provider.capabilities.cpuLimit).toBe(true);
    const sandbox = await test.sandbox({ resources: { ...resources, cpus: 0.2 } });
    const spin =
      "timeout 2 sh -c 'while :; do :; done' & timeout 2 sh -c 'while :; do :; done'; wait; cat /proc/$$/stat";
    const { stdout } = await sandbox.session.run({ command: spin });
    // stat(5): children's user and system time in hundredths of a second.
    const [user = 0, system = 0] = stdout.split(") ")[1]?.split(" ").slice(13, 15).map(Number) ?? [];
    const seconds = (user + system) / 100;
    expect(seconds).toBeGreaterThan(0.1);
    expect(seconds).toBeLessThan(0.8);
    await sandbox.destroy();
  });

  it.each([
    ["disk", "head -c 100000000 /dev/zero > /workspace/big; sleep 20", { diskBytes: 32 << 20 }],
    [
      "disk",
      "mkdir h; chmod 0 h; chmod 700 h; head -c 25000000 /dev/zero > h/a; head -c 25000000 /dev/zero > h/b; chmod 0 h; sleep 20",
      { diskBytes: 32 << 20 },
    ],
    [
      "disk",
      'for i in $(seq 5); do : > u$i; eval "exec 1$i> u$i"; rm u$i; head -c 20000000 /dev/zero >&1$i; done; sleep 20',
      { diskBytes: 32 << 20 },
    ],
    [
      "disk",
      "python3 -c \"import mmap, os, time\nmaps = []\nfor i in range(5):\n f = open('m', 'w+b'); f.truncate(20000000); m = mmap.mmap(f.fileno(), 0); os.unlink('m'); f.close()\n m[:] = b'x' * 20000000; m.flush(); maps.append(m)\ntime.sleep(20)\"",
      { diskBytes: 32 << 20 },
    ],
    [
      "files",
      "for d in $(seq 20); do mkdir d$d; (cd d$d; for f in $(seq 200); do : > f$f; done); done; sleep 20",
      { files: 2_000 },
    ],
  ] as const)("kill the workload that takes more of the %s than it may: %s", async (limit, command, limits) => {
    const sandbox = await test.sandbox({ resources: { ...resources, ...limits } });
    const filling = await sandbox.session.spawn({ command });
    const exit = await filling.wait();
    if (exit.type === "exited") expect(limits).toHaveProperty("diskBytes");
    await until(async () => (await sandbox.status()).limitExceeded === limit, "it is told");
    expect(await answers(neighbour)).toBe("alive\n");
    await sandbox.suspend();
    await sandbox.resume();
    expect((await sandbox.status()).limitExceeded).toBeUndefined();
    expect(await answers(sandbox)).toBe("alive\n");
    await sandbox.destroy();
  });

  it("count a file with two names once, and do not follow links out of it", async () => {
    const sandbox = await test.sandbox({ resources: { ...resources, diskBytes: 64 << 20 } });
    const command =
      "head -c 30000000 /dev/urandom > a; for i in $(seq 9); do ln a l$i; done; ln -s /usr u; sleep 1.5; echo done";
    expect((await sandbox.session.run({ command })).stdout).toBe("done\n");
    expect((await sandbox.status()).limitExceeded).toBeUndefined();
    await sandbox.destroy();
  });

  it("count the names in a file system in memory as memory", async () => {
    const sandbox = await test.sandbox({ resources: { ...resources, memoryBytes: 64 << 20 } });
    const flood = "python3 -c \"\nfor i in range(400000): open('/tmp/%d' % i, 'x')\"";
    expect((await sandbox.session.run({ command: flood })).exit).not.toEqual({ type: "exited", code: 0 });
    expect(await answers(neighbour)).toBe("alive\n");
    await sandbox.destroy();
  });

  it("are the supervisor's too", async () => {
    const { cgroups } = test.state(neighbour);
    const paths = [cgroups.parent ?? "", ...cgroups.limits].flatMap((group) => [
      join(group, "memory.limit_in_bytes"),
      join(group, "memory.max"),
      join(group, "init", "pids.max"),
    ]);
    const values = paths.filter((path) => existsSync(path)).map((path) => Number(readFileSync(path, "utf8")));
    expect(values.toSorted((left, right) => left - right)).toEqual([512, resources.memoryBytes + (256 << 20)]);
  });
});

it("a base root is shown instead of the host's own, and refused when others may write to it", async () => {
  await expect(openTestHost({ baseRoot: "/tmp" })).rejects.toThrow("--base-root /tmp can be written to by others");
  writeFileSync(join(test.directory, "file"), "");
  await expect(openTestHost({ baseRoot: join(test.directory, "nowhere") })).rejects.toThrow("free of links");
});

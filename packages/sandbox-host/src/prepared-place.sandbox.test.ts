/** The place that is always prepared, with the process that waits in it for what it becomes. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type TestHost, isAlive, openTestHost, until } from "./test-host.ts";
import { processesOfSlot } from "./user-ids.ts";

const read = (pid: number, file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8");

describe.each(["auto", "weak"] as const)("in mode %s, a place", (mode) => {
  let test: TestHost;
  beforeAll(async () => {
    test = await openTestHost({ mode });
  });
  afterAll(() => test.close());

  const places = () => readdirSync(test.host.sandboxesDirectory);
  const waiting = (): number[] =>
    places().flatMap((slot) => processesOfSlot(slot).filter((pid) => read(pid, "cmdline").includes("--order")));
  const onlyWaiting = async (): Promise<number> => {
    await until(() => waiting().length === 1, "one waits");
    return waiting()[0] ?? 0;
  };

  it("has a process in its own groups and under its own user, which becomes the next sandbox", async () => {
    const pid = await onlyWaiting();
    const entered = read(pid, "cgroup").match(/slot-[0-9a-f]{16}\/init\n/g) ?? [];
    const [, user] = /^Uid:\s+(\d+)/m.exec(read(pid, "status")) ?? [];
    const sandbox = await test.sandbox();
    const { launcherPid, supervisorPid, userId, cgroups } = test.state(sandbox);
    expect(entered).toHaveLength(cgroups.limits.length + (cgroups.parent === null ? 0 : 1));
    expect(Number(user)).toBe(userId);
    expect(launcherPid).toBe(pid);
    expect(read(supervisorPid ?? 0, "cmdline")).toMatch(/^\S*supervisor\0/);
    await sandbox.suspend();
    await sandbox.resume();
    expect(isAlive(launcherPid)).toBe(true);
    await sandbox.destroy();
    expect(isAlive(launcherPid)).toBe(false);
  });

  it("whose process was killed is removed, and the sandbox is made in another", async () => {
    const pid = await onlyWaiting();
    const [slot = ""] = places();
    process.kill(pid, "SIGKILL");
    await until(() => !existsSync(`/proc/${pid}`), "the daemon has taken notice");
    const sandbox = await test.sandbox();
    expect((await sandbox.session.run({ command: "echo alive" })).stdout).toBe("alive\n");
    await until(() => !places().includes(slot), "its place is removed");
    await sandbox.destroy();
  });

  it("is given up when the daemon dies, and removed by the next one", async () => {
    const pid = await onlyWaiting();
    const [slot = ""] = places();
    await test.crash();
    await until(() => !isAlive(pid), "nothing waits for nobody");
    await test.restart();
    expect(places()).not.toContain(slot);
  });
});

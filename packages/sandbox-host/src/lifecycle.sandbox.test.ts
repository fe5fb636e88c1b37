import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { killWorkload } from "./cgroups.ts";
import { type TestHost, isAlive, newSandboxId, openTestHost, resources, until } from "./test-host.ts";
import { processesOf } from "./user-ids.ts";

const out = async (sandbox: Sandbox, command: string) => (await sandbox.session.run({ command })).stdout.trim();

describe.each(["cgroup-v2", "cgroup-v1", "signal"] as const)("suspending by %s", (suspend) => {
  let test: TestHost;
  let sandbox: Sandbox;
  beforeAll(async () => {
    test = await openTestHost({ suspend });
    sandbox = await test.sandbox();
  });
  afterAll(() => test.close());

  it("stops a loop, and lets it go on", async () => {
    expect(test.provider.capabilities.suspend).toBe(suspend);
    const loop = await sandbox.session.spawn({
      commandId: "loop",
      command: "i=0; while :; do i=$((i+1)); echo $i > /workspace/i; sleep 0.002; done",
    });
    const count = async () =>
      Buffer.from((await sandbox.session.readBinaryFile({ path: "/workspace/i" })) ?? []).toString();
    await until(async () => Number(await count()) > 3, "it counts");
    await sandbox.suspend();
    await sandbox.suspend();
    const stopped = await count();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await count()).toBe(stopped);
    expect(await sandbox.status()).toMatchObject({ state: "suspended", runningCommands: ["loop"] });
    await sandbox.resume();
    await until(async () => Number(await count()) > Number(stopped) + 3, "it counts again");
    await loop.kill();
    expect(await loop.wait()).toEqual({ type: "signalled", signal: 15 });
    expect((await sandbox.status()).state).toBe("awake");
  });

  it("kills a workload that stands still, which stays so for who comes next", async () => {
    const loop = await sandbox.session.spawn({ command: "touch /workspace/begun; exec sleep 1000" });
    // One that is killed before it has begun is launched again.
    await until(async () => (await sandbox.session.stat({ path: "/workspace/begun" })) !== null, "it has begun");
    await sandbox.suspend();
    const { cgroups } = test.state(sandbox);
    expect(await killWorkload(cgroups)).toBe(true);
    expect((await sandbox.status()).state).toBe("suspended");
    await sandbox.resume();
    expect(await loop.wait()).toEqual({ type: "signalled", signal: 9 });
    expect(await out(sandbox, "echo alive")).toBe("alive");
  });

  it("holds a command that is started while suspended until the resume; maintenance runs", async () => {
    await sandbox.suspend();
    const waiting = await sandbox.session.spawn({ command: "echo later > /workspace/later" });
    const { stdout } = await sandbox.session.run({
      command: "ls /workspace/later 2>&1; echo ran",
      scope: "maintenance",
    });
    expect(stdout).toContain("ran");
    expect(await sandbox.session.stat({ path: "/workspace/later" })).toBeNull();
    await sandbox.resume();
    expect(await waiting.wait()).toEqual({ type: "exited", code: 0 });
    expect(await sandbox.session.stat({ path: "/workspace/later" })).not.toBeNull();
  });

  it("destroys a suspended sandbox with everything in it", async () => {
    const doomed = await test.sandbox();
    const { userId, cgroups, supervisorPid } = test.state(doomed);
    const directory = test.directoryOf(doomed);
    await doomed.session.spawn({ command: "setsid sleep 400 & sleep 401" });
    await doomed.suspend();
    await doomed.destroy();
    await doomed.destroy();
    expect(existsSync(directory)).toBe(false);
    expect(cgroups.parent !== null && existsSync(cgroups.parent)).toBe(false);
    expect(cgroups.limits.filter((group) => existsSync(group))).toEqual([]);
    if (supervisorPid !== null) expect(isAlive(supervisorPid)).toBe(false);
    expect(userId === 0 ? [] : processesOf(userId)).toEqual([]);
    await expect(doomed.session.run({ command: "true" })).rejects.toBeInstanceOf(SandboxGoneError);
  });
});

describe("a sandbox's life", () => {
  let test: TestHost;
  beforeAll(async () => {
    test = await openTestHost();
  });
  afterAll(() => test.close());

  it("leaves nothing, not even what is deeper than a path is long", async () => {
    const sandbox = await test.sandbox();
    const dig = "for i in $(seq 300); do mkdir deep-deep-deep-deep && cd deep-deep-deep-deep; done; chmod 0 .";
    expect((await sandbox.session.run({ command: dig })).exit).toEqual({ type: "exited", code: 0 });
    const directory = test.directoryOf(sandbox);
    await sandbox.destroy();
    expect(existsSync(directory)).toBe(false);
  });

  it("is created once per id, also when it is asked for twice at once", async () => {
    const request = { id: newSandboxId(), owner: "test", resources, environment: {} };
    const [first, second] = await Promise.all([test.provider.create(request), test.provider.create(request)]);
    expect((await first.status()).state).toBe("suspended");
    await first.session.writeBinaryFile({ path: "/workspace/x", content: Buffer.from("x") });
    await test.provider.create(request);
    expect(await second.session.stat({ path: "/workspace/x" })).not.toBeNull();
    expect((await test.provider.list()).filter((status) => status.id === request.id)).toHaveLength(1);
    await first.destroy();
    await expect(test.provider.attach(first.reference)).rejects.toBeInstanceOf(SandboxGoneError);
  });

  it("refuses malformed requests and changes nothing", async () => {
    // One is always prepared: not counted.
    const taken = () =>
      readdirSync(test.host.sandboxesDirectory).filter((slot) =>
        existsSync(join(test.host.sandboxesDirectory, slot, "state.json")),
      );
    const before = taken();
    for (const id of ["../escape", "sbx_short", `sbx_${"a".repeat(26)}`]) {
      await expect(test.provider.create({ id, owner: "test", resources, environment: {} })).rejects.toThrow(
        "a sandbox id is",
      );
    }
    const id = newSandboxId();
    await expect(
      test.provider.create({ id, owner: "test", resources: { ...resources, processes: 0 }, environment: {} }),
    ).rejects.toThrow("resources.processes");
    await expect(test.provider.create({ id, owner: "test", resources, environment: { "A B": "" } })).rejects.toThrow(
      "malformed name",
    );
    expect(taken()).toEqual(before);
  });

  it("survives the daemon's end and restart; what died meanwhile is cleaned up", async () => {
    const kept = await test.sandbox();
    const lost = await test.sandbox();
    await out(kept, "echo kept > f");
    const counting = await kept.session.spawn({
      commandId: "count",
      command: "sleep 0.5; echo counted > /workspace/g",
    });
    const { supervisorPid, cgroups } = test.state(lost);
    const directory = test.directoryOf(lost);
    await test.crash();
    execFileSync("kill", ["-9", String(supervisorPid)]);
    await test.restart();
    expect(await counting.wait()).toEqual({ type: "exited", code: 0 });
    expect(await out(kept, "cat f g")).toBe("kept\ncounted");
    expect((await test.provider.list()).map((status) => status.id)).not.toContain(lost.reference.id);
    expect(existsSync(directory)).toBe(false);
    expect(cgroups.parent !== null && existsSync(cgroups.parent)).toBe(false);
    await expect(lost.session.run({ command: "true" })).rejects.toBeInstanceOf(SandboxGoneError);
  });

  it("is gone, at once and for good, when somebody kills it and deletes its directory", async () => {
    const sandbox = await test.sandbox();
    const { supervisorPid } = test.state(sandbox);
    const directory = test.directoryOf(sandbox);
    const running = await sandbox.session.spawn({ command: "echo on; sleep 500" });
    await running.output[Symbol.asyncIterator]().next();
    const start = performance.now();
    execFileSync("kill", ["-9", String(supervisorPid)]);
    rmSync(directory, { recursive: true, force: true });
    await expect(running.wait()).rejects.toBeInstanceOf(SandboxGoneError);
    expect(performance.now() - start).toBeLessThan(1000);
    await expect(sandbox.session.run({ command: "true" })).rejects.toBeInstanceOf(SandboxGoneError);
    await expect(sandbox.session.readBinaryFile({ path: "/workspace/x" })).rejects.toBeInstanceOf(SandboxGoneError);
    await expect(sandbox.resume()).rejects.toBeInstanceOf(SandboxGoneError);
    await sandbox.destroy();
  });

  it("is gone when only its directory was deleted", async () => {
    const sandbox = await test.sandbox();
    const { supervisorPid } = test.state(sandbox);
    rmSync(test.directoryOf(sandbox), { recursive: true, force: true });
    await expect(sandbox.resume()).rejects.toBeInstanceOf(SandboxGoneError);
    await until(() => !isAlive(supervisorPid ?? 0), "the rest of it is dead");
  });
});

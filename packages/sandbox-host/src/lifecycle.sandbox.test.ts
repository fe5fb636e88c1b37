import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type TestHost, isAlive, newSandboxId, openTestHost, resources, until } from "./test-host.ts";
import { processesOf } from "./user-ids.ts";

const readAll = async (stream: ReadableStream<Uint8Array>) => {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
};
const streamOf = (bytes: Uint8Array) => new Response(Buffer.from(bytes)).body ?? new ReadableStream<Uint8Array>();
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
    await doomed.session.spawn({ command: "setsid sleep 400 & sleep 401" });
    await doomed.suspend();
    await doomed.destroy();
    await doomed.destroy();
    expect(existsSync(join(test.host.sandboxesDirectory, doomed.reference.id))).toBe(false);
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

  it("is not given up because the daemon is short of descriptors", async () => {
    const sandbox = await test.sandbox();
    const limit = (most: string) => execFileSync("sh", ["-c", `prlimit --pid ${test.host.pid} --nofile=${most}:`]);
    const second = await createLocalProvider({ socketPath: test.host.socketPath });
    const attached = await second.attach(sandbox.reference);
    const open = new Set(readdirSync(`/proc/${test.host.pid}/fd`));
    const [, full = 0] = Array.from({ length: open.size + 2 }, (_, number) => number).filter(
      (number) => !open.has(String(number)),
    );
    // Room for the channel's own connection, none for the one to the supervisor.
    limit(String(full));
    try {
      await expect(attached.session.run({ command: "true" })).rejects.not.toBeInstanceOf(SandboxGoneError);
    } finally {
      limit("8192");
    }
    expect((await attached.session.run({ command: "echo alive" })).stdout).toBe("alive\n");
    await second.close();
    await sandbox.destroy();
  });

  it("leaves nothing, not even what is deeper than a path is long", async () => {
    const sandbox = await test.sandbox();
    const dig = "for i in $(seq 300); do mkdir deep-deep-deep-deep && cd deep-deep-deep-deep; done; chmod 0 .";
    expect((await sandbox.session.run({ command: dig })).exit).toEqual({ type: "exited", code: 0 });
    await sandbox.destroy();
    expect(existsSync(join(test.host.sandboxesDirectory, sandbox.reference.id))).toBe(false);
  });

  it("is created once per id, also when it is asked for twice at once", async () => {
    const request = { id: newSandboxId(), resources, environment: {} };
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
    const before = readdirSync(test.host.sandboxesDirectory);
    for (const id of ["../escape", "sbx_short", `sbx_${"a".repeat(26)}`]) {
      await expect(test.provider.create({ id, resources, environment: {} })).rejects.toThrow("a sandbox id is");
    }
    const id = newSandboxId();
    await expect(
      test.provider.create({ id, resources: { ...resources, processes: 0 }, environment: {} }),
    ).rejects.toThrow("resources.processes");
    await expect(test.provider.create({ id, resources, environment: { "A B": "" } })).rejects.toThrow("malformed name");
    expect(readdirSync(test.host.sandboxesDirectory)).toEqual(before);
  });

  it("is archived byte for byte alike, and restored", async () => {
    const sandbox = await test.sandbox();
    await out(
      sandbox,
      "git init -q .; mkdir -p d/e; head -c 300000 /dev/urandom > d/e/random; ln -s e d/link; ln d/e/random d/hard; chmod 555 d/e; echo x > run; chmod 755 run; echo s > s; chmod 000 s",
    );
    const first = await readAll(await sandbox.snapshot());
    expect((await sandbox.status()).state).toBe("awake");
    const second = await readAll(await sandbox.snapshot());
    expect(second.equals(first)).toBe(true);
    const other = await test.sandbox();
    await out(other, "mkdir -p old/stuff; chmod 500 old; echo garbage > garbage");
    await other.restore(streamOf(first));
    expect((await readAll(await other.snapshot())).equals(first)).toBe(true);
    expect(await out(other, "ls -A")).toBe(".git\nd\nrun\ns");
    const fingerprint = "cd /workspace; find . -type f -exec sha256sum {} + | sort; stat -c '%n %a %Y' d/e run";
    expect(await out(other, fingerprint)).toBe(await out(sandbox, fingerprint));
  });

  it("reports an archive that is not whole, in both directions", async () => {
    const sandbox = await test.sandbox();
    await out(sandbox, "head -c 60000000 /dev/zero > zeros");
    const archive = await sandbox.snapshot();
    const reader = archive.getReader();
    await reader.read();
    execFileSync("kill", ["-9", String(test.state(sandbox).supervisorPid)]);
    await expect(
      (async () => {
        for (;;) if ((await reader.read()).done) return;
      })(),
    ).rejects.toThrow();
    const other = await test.sandbox();
    await expect(other.restore(streamOf(Buffer.from("this is no archive at all".repeat(100))))).rejects.toThrow(
      "unpack",
    );
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
    await test.crash();
    execFileSync("kill", ["-9", String(supervisorPid)]);
    await test.restart();
    expect(await counting.wait()).toEqual({ type: "exited", code: 0 });
    expect(await out(kept, "cat f g")).toBe("kept\ncounted");
    expect((await test.provider.list()).map((status) => status.id)).not.toContain(lost.reference.id);
    expect(existsSync(join(test.host.sandboxesDirectory, lost.reference.id))).toBe(false);
    expect(cgroups.parent !== null && existsSync(cgroups.parent)).toBe(false);
    await expect(lost.session.run({ command: "true" })).rejects.toBeInstanceOf(SandboxGoneError);
  });

  it("is gone, at once and for good, when somebody kills it and deletes its directory", async () => {
    const sandbox = await test.sandbox();
    const { supervisorPid } = test.state(sandbox);
    const running = await sandbox.session.spawn({ command: "echo on; sleep 500" });
    await running.output[Symbol.asyncIterator]().next();
    const start = performance.now();
    execFileSync("kill", ["-9", String(supervisorPid)]);
    rmSync(join(test.host.sandboxesDirectory, sandbox.reference.id), { recursive: true, force: true });
    await expect(running.wait()).rejects.toBeInstanceOf(SandboxGoneError);
    expect(performance.now() - start).toBeLessThan(1000);
    await expect(sandbox.session.run({ command: "true" })).rejects.toBeInstanceOf(SandboxGoneError);
    await expect(sandbox.session.readBinaryFile({ path: "/workspace/x" })).rejects.toBeInstanceOf(SandboxGoneError);
    await expect(sandbox.resume()).rejects.toBeInstanceOf(SandboxGoneError);
    await expect(sandbox.snapshot()).rejects.toBeInstanceOf(SandboxGoneError);
    await sandbox.destroy();
  });

  it("is gone when only its directory was deleted", async () => {
    const sandbox = await test.sandbox();
    const { supervisorPid } = test.state(sandbox);
    rmSync(join(test.host.sandboxesDirectory, sandbox.reference.id), { recursive: true, force: true });
    await expect(sandbox.resume()).rejects.toBeInstanceOf(SandboxGoneError);
    await until(() => !isAlive(supervisorPid ?? 0), "the rest of it is dead");
  });
});

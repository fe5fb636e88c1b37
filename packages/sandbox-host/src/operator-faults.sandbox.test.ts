/** A machine that fails the daemon, and a server's user who would be more than that. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { startSandboxHost } from "./start.ts";
import { type TestHost, isAlive, newSandboxId, openTestHost, resources, until } from "./test-host.ts";

const serverUser = 65_533;
let test: TestHost;
beforeAll(async () => {
  test = await openTestHost({ ownerUid: serverUser });
});
afterAll(() => test.close());

const slots = () => readdirSync(test.host.sandboxesDirectory).map((name) => join(test.host.sandboxesDirectory, name));
/** Its state cannot be written any more, as on a full disk. */
const blockState = (slot: string) => mkdirSync(join(slot, "state.json.new"));

describe("a full disk", () => {
  it("keeps nobody from being killed for it, nor from being resumed", async () => {
    const sandbox = await test.sandbox({ resources: { ...resources, diskBytes: 16 << 20 } });
    blockState(test.directoryOf(sandbox));
    const filling = await sandbox.session.spawn({ command: "head -c 60000000 /dev/zero > big; sleep 20" });
    await filling.wait();
    await until(async () => (await sandbox.status()).limitExceeded === "disk", "it is told");
    await sandbox.suspend();
    await sandbox.resume();
    expect((await sandbox.session.run({ command: "echo alive" })).stdout).toBe("alive\n");
    await sandbox.destroy();
  });

  it("leaves nothing of a sandbox from the pool whose name cannot be written", async () => {
    const make = { resources, environment: {} };
    await test.provider.keepWarm({ count: 1, ...make });
    const pooled = () => slots().filter((slot) => readdirSync(slot).includes("state.json"));
    await until(() => pooled().length === 1, "the pool is full");
    const [slot = ""] = pooled();
    blockState(slot);
    await expect(test.provider.create({ id: newSandboxId(), owner: "test", ...make })).rejects.toThrow();
    await until(() => !slots().includes(slot), "it is removed");
    await test.provider.keepWarm({ count: 0, ...make });
  });

  it("that takes no log any more does not end the daemon", async () => {
    await test.crash();
    rmSync(join(test.directory, "host.log"));
    symlinkSync("/dev/full", join(test.directory, "host.log"));
    await test.restart();
    const tools = join(test.directory, "tools");
    const [version = ""] = readdirSync(tools).filter((name) => /^[0-9a-f]{16}$/.test(name));
    const supervisor = join(tools, version, "supervisor");
    renameSync(supervisor, join(tools, "away"));
    const make = { resources, environment: {} };
    // What fails in the background is written to the log.
    await test.provider.keepWarm({ count: 1, ...make });
    await expect(test.provider.create({ id: newSandboxId(), owner: "test", ...make })).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 300));
    renameSync(join(tools, "away"), supervisor);
    await test.provider.keepWarm({ count: 0, ...make });
    expect(isAlive(test.host.pid)).toBe(true);
  });
});

/** Kills the daemon of this directory so many seconds after it has said who it is. */
const killer = `
import os, sys, time
end = time.time() + 20
while time.time() < end:
    try: pid = int(open(sys.argv[1] + "/host.pid").read())
    except (OSError, ValueError): continue
    time.sleep(float(sys.argv[2]))
    os.kill(pid, 9)
    break
`;

describe("a daemon that is killed when it has just started", () => {
  it("is an error that says so", async () => {
    const directory = mkdtempSync(join(tmpdir(), "exoloop-host-"));
    const told = "the sandbox host ended as soon as it had started";
    const messages: string[] = [];
    // It may be killed before it says that it is ready, or when it has been found.
    for (let attempt = 0; !messages.includes(told) && attempt < 12; attempt++) {
      rmSync(join(directory, "host.pid"), { force: true });
      const killing = spawn("python3", ["-c", killer, directory, String((attempt % 4) * 0.0003)], { stdio: "ignore" });
      const ended = new Promise((resolve) => killing.once("exit", resolve));
      await startSandboxHost({ directory, mode: "auto", endsWithParent: true }).catch((error: unknown) => {
        messages.push(error instanceof Error ? error.message : "");
      });
      await ended;
    }
    expect(messages).toContain(told);
    expect(messages).not.toContain("");
    await (await startSandboxHost({ directory, mode: "auto", endsWithParent: true })).stop();
    rmSync(directory, { recursive: true, force: true });
  });
});

describe("the server's user", () => {
  it("gets a sandbox's run directory when root gives away nothing in it any more", async () => {
    const sandbox = await test.sandbox();
    const ownerOf = (slot: string) => statSync(join(slot, "run"), { throwIfNoEntry: false })?.uid;
    await until(() => slots().length > 1, "the next place is prepared");
    const bound = test.directoryOf(sandbox);
    expect(ownerOf(bound)).toBe(serverUser);
    // One of an earlier test may be on its way out.
    for (const slot of slots().filter((path) => path !== bound)) expect([0, undefined]).toContain(ownerOf(slot));
    await sandbox.destroy();
  });
});

describe("a workload under gVisor", () => {
  it("finds no directory of the host's that nobody counts", async () => {
    const provider = await createLocalProvider({ socketPath: test.host.socketPath, runtime: "gvisor" });
    const sandbox = await provider.create({ id: newSandboxId(), owner: "test", resources, environment: {} });
    await sandbox.resume();
    const { exit } = await sandbox.session.run({ command: ": > /run/exoloop/x" });
    expect(exit).toEqual({ type: "exited", code: 1 });
    expect(readdirSync(join(test.directoryOf(sandbox), "gvisor"))).not.toContain("listen");
    await sandbox.destroy();
    await provider.close();
  });
});

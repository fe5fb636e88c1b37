/** gVisor's sandboxes sleep whole, supervisor and all, and are there for whoever needs a file. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { isFrozen } from "./cgroups.ts";
import { findRunsc } from "./machine-programs.ts";
import { type TestHost, newSandboxId, openTestHost, resources, until } from "./test-host.ts";

const missing = findRunsc() === null;
if (missing) process.stderr.write("gVisor is not tested: node scripts/setup/gvisor.mjs fetches it\n");

let test: TestHost;
let provider: SandboxProvider;
beforeAll(async () => {
  if (missing) return;
  test = await openTestHost();
  provider = await createLocalProvider({ socketPath: test.host.socketPath, runtime: "gvisor" });
});
afterAll(async () => {
  await provider?.close();
  await test?.close();
});

/** A timer of its own continues it: signals alone cannot stop it. */
const insomniac = `
import ctypes, time
class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("notify", ctypes.c_int), ("rest", ctypes.c_char * 48)]
timer, event = ctypes.c_void_p(), Event(None, 18, 0)
c = ctypes.CDLL(None)
assert c.timer_create(1, ctypes.byref(event), ctypes.byref(timer)) == 0
every = (ctypes.c_long * 4)(0, 3000000, 0, 3000000)
assert c.timer_settime(timer, 0, ctypes.byref(every), None) == 0
while True:
    with open("/workspace/count", "a") as file: file.write("x")
    time.sleep(0.002)
`;
/** Longer than an answer takes. */
const sleepMs = 1_000;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const frozen = (sandbox: Sandbox) => isFrozen(test.state(sandbox).cgroups);

async function makeSandbox(): Promise<Sandbox> {
  return provider.create({ id: newSandboxId(), owner: "test", resources, environment: {} });
}

async function readText(sandbox: Sandbox): Promise<string> {
  return Buffer.from((await sandbox.session.readBinaryFile({ path: "/workspace/file" })) ?? []).toString();
}

describe.skipIf(missing)("a sandbox whose supervisor shares its processes with the workload", () => {
  it("sleeps whole, is there for a file, and sleeps again", async () => {
    const sandbox = await makeSandbox();
    expect(frozen(sandbox)).toBe(true);
    await sandbox.session.writeBinaryFile({ path: "/workspace/file", content: Buffer.from("there") });
    expect(frozen(sandbox)).toBe(false);
    expect(await readText(sandbox)).toBe("there");
    await until(() => frozen(sandbox), "it sleeps again");
    expect(await sandbox.status()).toMatchObject({ state: "suspended", runningCommands: [] });
    await sandbox.resume();
    expect(frozen(sandbox)).toBe(false);
    await sandbox.suspend();
    expect(frozen(sandbox)).toBe(true);
    await sandbox.destroy();
  });

  it("holds also what a timer continues", async () => {
    const sandbox = await makeSandbox();
    await sandbox.resume();
    await sandbox.session.spawn({ command: `exec python3 -c '${insomniac}'` });
    const path = join(test.directoryOf(sandbox), "workspace/count");
    await until(async () => ((await sandbox.session.stat({ path: "/workspace/count" }))?.size ?? 0) > 5, "it counts");
    await sandbox.suspend();
    const before = readFileSync(path).length;
    await pause(300);
    expect(readFileSync(path).length).toBe(before);
    await sandbox.destroy();
  });

  it("answers who asks for it while it falls asleep", async () => {
    const sandbox = await makeSandbox();
    let asked = true;
    let longest = 0;
    const asking = async (): Promise<void> => {
      while (asked) {
        const started = performance.now();
        await provider.list();
        longest = Math.max(longest, performance.now() - started);
      }
    };
    const looking = asking();
    for (let round = 0; round < 4; round++) {
      await sandbox.resume();
      await sandbox.suspend();
      await pause(sleepMs);
    }
    asked = false;
    await looking;
    expect(longest).toBeLessThan(sleepMs);
    await sandbox.destroy();
  });

  it("is found asleep by the next daemon, and is there for it", async () => {
    const sandbox = await makeSandbox();
    await sandbox.session.writeBinaryFile({ path: "/workspace/file", content: Buffer.from("kept") });
    await test.crash();
    await test.restart();
    expect((await sandbox.status()).state).toBe("suspended");
    expect(await readText(sandbox)).toBe("kept");
    await until(() => frozen(sandbox), "it sleeps again");
    await sandbox.destroy();
  });
});

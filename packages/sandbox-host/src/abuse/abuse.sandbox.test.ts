/** Abuse, each with a neighbour that goes on working. What is asserted is containment; speed is in `npm run bench -- abuse`. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { type TestHost, isAlive, openTestHost, until } from "../test-host.ts";
import { attacks, control } from "./attacks.ts";
import { startDriver } from "./drive.ts";

const resources = { memoryBytes: 256 << 20, processes: 100, cpus: 1, diskBytes: 128 << 20, files: 5_000 };
const mostGrowth = 50 << 20;
const lookEveryMs = 20;

let test: TestHost;
let neighbour: Sandbox;
beforeAll(async () => {
  test = await openTestHost();
  neighbour = await test.sandbox({ resources });
  // What this process needs once for any output is no growth.
  const running = await neighbour.session.spawn({ command: "head -c 256M /dev/zero" });
  for await (const chunk of running.output) expect(chunk.bytes.length).toBeGreaterThan(0);
});
afterAll(() => test.close());

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/**
 * What this process holds. Its resident size also has what the next collection frees, which the engine lets grow to
 * 64 MB of buffers, whatever is held.
 */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Most that the daemon and this process, its client, grew by while `work` ran. */
async function measureGrowth<T>(work: () => Promise<T>): Promise<{ value: T; daemon: number; client: number }> {
  const before = { daemon: residentBytes(test.host.pid), client: heldBytes() };
  const most = { ...before };
  const timer = setInterval(() => {
    most.daemon = Math.max(most.daemon, residentBytes(test.host.pid));
    most.client = Math.max(most.client, heldBytes());
  }, lookEveryMs);
  try {
    const value = await work();
    return { value, daemon: most.daemon - before.daemon, client: most.client - before.client };
  } finally {
    clearInterval(timer);
  }
}

/** The sandbox's place on this machine and the user id of its processes there, from its state file. */
function findSlot(sandbox: Sandbox): { readonly slot: string; readonly userId: number } {
  const directory = test.host.sandboxesDirectory;
  for (const slot of readdirSync(directory)) {
    const path = `${directory}/${slot}/state.json`;
    const state: unknown = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
    if (typeof state !== "object" || state === null || !("id" in state) || !("userId" in state)) continue;
    if (state.id === sandbox.reference.id) return { slot, userId: Number(state.userId) };
  }
  throw new Error("the sandbox has no slot");
}

/** Living processes of a user. */
function processesOf(userId: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      if (!isAlive(pid)) return false;
      return new RegExp(`^Uid:\\s+${userId}\\b`, "m").test(readFileSync(`/proc/${pid}/status`, "utf8"));
    });
}

/** What is in a directory at any depth, whatever vanishes meanwhile: others make and remove groups beside ours. */
function namesBelow(path: string): string[] {
  for (let attempt = 0; ; attempt++) {
    try {
      return readdirSync(path, { recursive: true }).map(String);
    } catch (error) {
      if (attempt > 50) throw error;
    }
  }
}

/** Directories of that name: in the daemon's, and in every hierarchy of control groups. */
function findLeft(slot: string): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const hierarchies = mounts.filter((line) => line.includes(" - cgroup")).map((line) => line.split(" ")[4] ?? "");
  return [test.host.sandboxesDirectory, ...hierarchies].flatMap((path) =>
    namesBelow(path).filter((name) => name.endsWith(slot)),
  );
}

describe.each(attacks)("a workload that $sentence", ({ attempt, contained }) => {
  it("is contained, and leaves nothing", async () => {
    const sandbox = await test.sandbox({ resources });
    const { slot, userId } = findSlot(sandbox);
    expect(findLeft(slot).length).toBeGreaterThan(1);
    let [attacking, mostProcesses] = [true, 0];
    const measured = await measureGrowth(async () => {
      const attack = attempt(sandbox, false).finally(() => (attacking = false));
      while (attacking) {
        expect((await neighbour.session.run({ command: "echo neighbour" })).stdout).toBe("neighbour\n");
        mostProcesses = Math.max(mostProcesses, processesOf(userId).length);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return attack;
    });
    expect(measured.value).toMatch(contained);
    expect(measured.daemon).toBeLessThan(mostGrowth);
    expect(measured.client).toBeLessThan(mostGrowth);
    // Beside the workload's: bubblewrap outside and the supervisor.
    expect(mostProcesses).toBeLessThanOrEqual(resources.processes + 2);

    await sandbox.destroy();
    await until(() => processesOf(userId).length === 0, "its processes are gone");
    expect(findLeft(slot)).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(slot);
    expect((await neighbour.session.run({ command: "echo neighbour" })).stdout).toBe("neighbour\n");
  });
});

// A process of its own, which has done nothing before: what it has resident beyond that is what a server would need.
it.each(["output", "unread-output"])("a server that follows %s has less than 50 MB more resident", async (attack) => {
  const sandbox = await test.sandbox({ resources });
  const driver = await startDriver(test.host.socketPath, [sandbox.reference.id]);
  const { seen, grownBytes } = await driver.attack({ attack, whole: false });
  expect(seen[0]).toMatch(attacks.find(({ id }) => id === attack)?.contained ?? /never/);
  expect(grownBytes).toBeLessThan(mostGrowth);
  await sandbox.destroy();
});

it("a driver also drives nothing, which attacks are compared with", async () => {
  const driver = await startDriver(test.host.socketPath, []);
  const { seen, started, ended } = await driver.attack({ attack: control.id, whole: false });
  expect([seen, ended >= started]).toEqual([[], true]);
});

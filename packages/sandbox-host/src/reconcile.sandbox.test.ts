/**
 * Deaths of everything, at moments that nobody chose: the next daemon leaves no process, directory, group or lease
 * behind that belongs to no living sandbox. EXOLOOP_CRASH_SEED repeats a run.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Sandbox } from "@exoloop/sandbox/contract";
import { createRandom } from "@exoloop/sandbox/testing/random";
import { discoverCgroups, listGroupNames } from "./cgroup-host.ts";
import { hashName } from "./configuration.ts";
import { slotPattern } from "./state.ts";
import { type TestHost, isAlive, newSandboxId, openTestHost, resources, until } from "./test-host.ts";
import { listLeases, processesOfSlot } from "./user-ids.ts";

const killPoints = 30;
const seed = Number(process.env["EXOLOOP_CRASH_SEED"] ?? Date.now() % 1_000_000);

let test: TestHost;
beforeAll(async () => {
  test = await openTestHost();
});
afterAll(() => test.close());

interface Traces {
  readonly directories: readonly string[];
  readonly groups: readonly string[];
  readonly leases: readonly string[];
}

/** Names of slots, wherever one has left something. */
function traces(): Traces {
  const { sandboxesDirectory } = test.host;
  const only = (names: Iterable<string>) => [...names].filter((name) => slotPattern.test(name)).toSorted();
  const leases = [...listLeases(sandboxesDirectory).keys()].map((path) => path.slice(sandboxesDirectory.length + 1));
  const groups = listGroupNames(discoverCgroups(`exoloop-${hashName(test.directory)}`));
  return { directories: only(readdirSync(sandboxesDirectory)), groups: only(groups), leases: only(leases) };
}

const seen = new Set<string>();

/** @param kept sandboxes that must be there, besides the one place that is always prepared. */
async function expectOnly(kept: readonly Sandbox[]): Promise<void> {
  const names = kept.map((sandbox) => test.state(sandbox).slot).toSorted();
  const prepared = (found: readonly string[]) => found.filter((name) => !names.includes(name));
  await until(() => {
    const { directories, groups, leases } = traces();
    return [directories, groups, leases].every((found) => prepared(found).length <= 1);
  }, "only the living have a place");
  const { directories, groups, leases } = traces();
  for (const found of [directories, groups, leases]) expect(found).toEqual(expect.arrayContaining(names));
  const dead = [...seen].filter((slot) => !directories.includes(slot));
  await until(() => dead.every((slot) => processesOfSlot(slot).length === 0), "the dead have no process");
  for (const slot of dead) expect(mountsOf(slot)).toBe("");
}

function mountsOf(slot: string): string {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(slot))
    .join("\n");
}

it("reconciles after a kill at any moment", async () => {
  const random = createRandom(seed);
  process.stderr.write(`crash seed ${seed}\n`);
  const kept = await test.sandbox();
  await kept.session.spawn({ commandId: "living", command: "sleep 600" });
  for (let point = 0; point < killPoints; point++) {
    const doomed = await Promise.all([test.sandbox(), test.sandbox()]);
    const states = doomed.map((sandbox) => test.state(sandbox));
    await doomed[0]?.session.spawn({ command: "setsid sleep 500 & sleep 501" });
    for (const { slot } of states) seen.add(slot);
    const creating = [0, 1].map(() =>
      test.provider.create({ id: newSandboxId(), owner: "test", resources, environment: {} }).catch(() => null),
    );
    const destroying = doomed[0]?.destroy().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, random.next() * 40));
    const victims = [test.host.pid];
    if (random.next() < 0.5) victims.push(states[1]?.supervisorPid ?? 0);
    if (random.next() < 0.5) victims.push(states[1]?.launcherPid ?? 0);
    for (const pid of victims.toSorted(() => random.next() - 0.5))
      if (pid > 0 && isAlive(pid)) process.kill(pid, "SIGKILL");
    for (const name of traces().directories) seen.add(name);
    await until(() => !isAlive(test.host.pid), "the daemon is dead");
    await test.restart();
    const created = await Promise.all(creating);
    await destroying;
    for (const sandbox of [...created, doomed[1]]) await sandbox?.destroy();
    await expectOnly([kept]);
    expect((await kept.status()).runningCommands).toEqual(["living"]);
  }
  await kept.destroy();
}, 180_000);

it("leaves nothing after many lives", async () => {
  const lives = Number(process.env["EXOLOOP_LIVES"] ?? 100);
  const before = readdirSync(`/proc/${test.host.pid}/fd`).length;
  for (let life = 0; life < lives; life++) {
    const sandbox = await test.sandbox();
    expect((await sandbox.session.run({ command: "sleep 100 & echo $((6 * 7))" })).stdout).toBe("42\n");
    seen.add(test.state(sandbox).slot);
    await sandbox.destroy();
  }
  await expectOnly([]);
  expect(readdirSync(`/proc/${test.host.pid}/fd`).length).toBeLessThanOrEqual(before + 4);
  expect(existsSync(join(test.host.sandboxesDirectory, "state.json"))).toBe(false);
}, 600_000);

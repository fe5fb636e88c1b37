/** A sandbox host that dies alone comes back, and so do those who use it; one that cannot is given up, and told once. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import { afterEach, beforeEach, expect, it } from "vitest";
import { keepSandboxHost } from "./sandbox-host-keeper.ts";
import { eventually } from "./sandboxes/testing.ts";
import type { Logger } from "./telemetry/logger.ts";

const patience = { lookMs: 20, firstPauseMs: 10, longestPauseMs: 40, restarts: 3, healthyMs: 30_000 };
const resources = { memoryBytes: 512 << 20, processes: 128, cpus: 2, diskBytes: 256 << 20, files: 50_000 };
const newId = (last: string) => `sbx_${"0".repeat(25)}${last}`;

let directory: string;
let told: { readonly level: string; readonly message: string; readonly details: object }[];
let log: Logger;
const start = () => startSandboxHost({ directory, mode: "auto", endsWithParent: true });
const keep = () => keepSandboxHost({ start, log, patience });
const messages = () => told.map(({ level, message }) => `${level}: ${message}`);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "exoloop-kept-"));
  told = [];
  const tell = (level: string) => (details: object, message: string) => void told.push({ level, message, details });
  log = { debug: tell("debug"), info: tell("info"), warn: tell("warn"), error: tell("error") };
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it("is started again, again and again, and finds the commands that ran", async () => {
  const kept = await keep();
  const provider = await createLocalProvider({ socketPath: kept.first.socketPath });
  const create = (id: string) => provider.create({ id: newId(id), owner: "test", resources, environment: {} });
  const sandbox = await create("A");
  await sandbox.resume();
  const command = "echo begun >> count.txt; sleep 2; cat count.txt";
  const running = sandbox.session.run({ command });
  let { pid } = kept.first;
  for (const id of ["B", "C"]) {
    process.kill(pid, "SIGKILL");
    // Asked of nobody: it waits.
    const other = await create(id);
    await other.resume();
    expect((await other.session.run({ command: "echo made" })).stdout).toBe("made\n");
    const next = (await start()).pid;
    expect(next).not.toBe(pid);
    pid = next;
  }
  expect((await running).stdout).toBe("begun\n");
  await sandbox.suspend();
  expect((await provider.list()).map(({ id }) => id)).toHaveLength(3);
  const again = [
    "error: the sandbox host ended unexpectedly and is started again",
    "info: the sandbox host runs again",
  ];
  expect(messages()).toEqual([...again, ...again]);
  await provider.close();
  await kept.stop();
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

it("comes up once more to end its sandboxes when it is dead at the end", async () => {
  const kept = await keep();
  const provider = await createLocalProvider({ socketPath: kept.first.socketPath });
  const sandbox = await provider.create({ id: newId("D"), owner: "test", resources, environment: {} });
  await sandbox.resume();
  await sandbox.session.spawn({ command: "sleep 600" });
  const slot = kept.first.directoryOf(sandbox.reference.id) ?? "";
  expect(existsSync(slot)).toBe(true);
  await provider.close();
  process.kill(kept.first.pid, "SIGKILL");
  await kept.stop();
  expect(existsSync(slot)).toBe(false);
  const after = createLocalProvider({ socketPath: kept.first.socketPath, patienceMs: 0 });
  await expect(after).rejects.toThrow("not reachable");
}, 30_000);

it("is given up when it ends again and again, with one error that says so", async () => {
  const dying = async () => {
    const host = await start();
    process.kill(host.pid, "SIGKILL");
    return host;
  };
  const kept = await keepSandboxHost({ start: dying, log, patience });
  await eventually(() => Promise.resolve(messages().some((line) => line.includes("not started again"))), 20_000);
  expect(messages().filter((line) => line.includes("runs again"))).toHaveLength(patience.restarts);
  expect(told.at(-1)?.details).toMatchObject({ error: { message: expect.stringContaining("again and again") } });
  await kept.stop();
}, 60_000);

it("is given up when it cannot come up, with one error that says why", async () => {
  const kept = await keep();
  const path = process.env["PATH"];
  process.env["PATH"] = "/nowhere";
  try {
    process.kill(kept.first.pid, "SIGKILL");
    await eventually(() => Promise.resolve(messages().some((line) => line.includes("not started again"))), 20_000);
    await new Promise((resolve) => setTimeout(resolve, 200));
  } finally {
    process.env["PATH"] = path;
  }
  const failed = "warn: the sandbox host could not be started again";
  expect(messages()).toEqual([
    "error: the sandbox host ended unexpectedly and is started again",
    ...Array.from({ length: patience.restarts }, () => failed),
    "error: the sandbox host is not started again: mend its fault, then restart exoloop",
  ]);
  expect(told.at(-1)?.details).toMatchObject({ error: { message: expect.stringMatching(/bwrap|bubblewrap/) } });
  await kept.stop();
  // What it left is found by whoever starts it next.
  await (await start()).stop();
});

/** What a killed test or bench leaves: nothing. What a killed launcher leaves: all that ran. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startSandboxHost } from "./start.ts";
import { isAlive, newSandboxId, resources, until } from "./test-host.ts";

const start = JSON.stringify(join(import.meta.dirname, "start.ts"));
const provider = JSON.stringify(join(import.meta.dirname, "../../sandbox/src/providers/local/provider.ts"));

/** Starts a host and a command in a sandbox, says so, and stays. */
const program = `
  import { startSandboxHost } from ${start};
  import { createLocalProvider } from ${provider};
  const [options, request] = process.argv.slice(1).map((text) => JSON.parse(text));
  const host = await startSandboxHost(options);
  const { create } = await createLocalProvider({ socketPath: host.socketPath });
  const sandbox = await create(request);
  await sandbox.resume();
  await sandbox.session.spawn({ commandId: "long", command: "sleep 1000" });
  console.log(host.pid);
  setInterval(() => {}, 1000);
`;

let directory: string;
let parent: ChildProcess;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "exoloop-parent-"));
  chmodSync(directory, 0o711);
});
afterEach(async () => {
  parent.kill("SIGKILL");
  await (await startSandboxHost({ directory, mode: "auto" })).stop();
  rmSync(directory, { recursive: true, force: true });
});

async function killParentOf(
  endsWithParent: boolean,
): Promise<{ readonly daemon: number; readonly supervisor: number }> {
  const given = [
    { directory, mode: "auto", endsWithParent },
    { id: newSandboxId(), owner: "test", resources, environment: {} },
  ].map((value) => JSON.stringify(value));
  parent = spawn(process.execPath, ["--input-type=module", "-e", program, ...given], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [said]: unknown[] = parent.stdout === null ? [] : await once(parent.stdout, "data");
  const daemon = Number(String(said));
  const supervisor = supervisors()[0] ?? 0;
  expect([isAlive(daemon), isAlive(supervisor)]).toEqual([true, true]);
  parent.kill("SIGKILL");
  await once(parent, "exit");
  return { daemon, supervisor };
}

/** Of the sandboxes that have a directory. */
function supervisors(): number[] {
  const sandboxes = join(directory, "sandboxes");
  return readdirSync(sandboxes).map((slot) => {
    const state: unknown = JSON.parse(readFileSync(join(sandboxes, slot, "state.json"), "utf8"));
    return typeof state === "object" && state !== null && "supervisorPid" in state ? Number(state.supervisorPid) : 0;
  });
}

it("ends with its parent, and its sandboxes with it", async () => {
  const { daemon, supervisor } = await killParentOf(true);
  await until(() => !isAlive(daemon), "the daemon has ended");
  expect(isAlive(supervisor)).toBe(false);
  expect(supervisors()).toEqual([]);
  expect(existsSync(join(directory, "host.sock"))).toBe(false);
});

it("outlives it otherwise", async () => {
  const { daemon, supervisor } = await killParentOf(false);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect([isAlive(daemon), isAlive(supervisor)]).toEqual([true, true]);
});

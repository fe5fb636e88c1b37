/** The daemon under an ordinary user: what root gives is missing, and said to be. */
import { spawn } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { buildHost } from "./host-build.ts";
import { findProgram } from "./machine-programs.ts";
import { isAlive, newSandboxId, resources, until } from "./test-host.ts";
import { processesOfSlot } from "./user-ids.ts";

const isRoot = process.getuid?.() === 0;
/** Beside those that sandboxes get. */
const userId = isRoot ? 1_879_299_999 : (process.getuid?.() ?? 0);
let directory = "";
let programs = "";
let daemon: ReturnType<typeof spawn>;
let provider: SandboxProvider;

/** Its user may not be able to read where this repository is: root opens the files and the programs are copied. */
async function startDaemon(): Promise<string> {
  programs = mkdtempSync(join(tmpdir(), "exoloop-programs-"));
  cpSync(buildHost(), programs, { recursive: true, dereference: true });
  chmodSync(programs, 0o755);
  const main = join(import.meta.dirname, "main.ts");
  const own = ["--directory", directory, "--programs", programs, "--bubblewrap", findProgram("bwrap") ?? ""];
  daemon = spawn(process.execPath, [main, ...own], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: "/",
    ...(isRoot ? { uid: userId, gid: userId } : {}),
  });
  const line = await new Promise<string>((resolve) => {
    daemon.stdout?.once("data", (bytes: Buffer) => resolve(bytes.toString()));
    daemon.once("exit", () => resolve("it ended"));
  });
  return line;
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "exoloop-unprivileged-"));
  if (isRoot) chownSync(directory, userId, userId);
  expect(await startDaemon()).toContain('"ready":true');
  provider = await createLocalProvider({ socketPath: join(directory, "host.sock") });
});
afterAll(async () => {
  await provider.close();
  daemon.kill("SIGTERM");
  await until(() => !isAlive(daemon.pid ?? 0), "the daemon has ended");
  for (const made of [directory, programs]) rmSync(made, { recursive: true, force: true });
});

it("runs sandboxes, says what they lack, and leaves nothing", async () => {
  expect(provider.capabilities).toMatchObject({ isolation: "namespaces", ownUserId: false });
  const sandbox = await provider.create({ id: newSandboxId(), owner: "test", resources, environment: {} });
  await sandbox.resume();
  expect((await sandbox.session.run({ command: "id -u; echo x > /workspace/x; cat x" })).stdout).toBe("1000\nx\n");
  await sandbox.session.spawn({ command: "setsid sleep 700 & sleep 701" });
  const sandboxes = join(directory, "sandboxes");
  // The prepared place has a process too, and nobody's state.
  const inUse = readdirSync(sandboxes).filter((slot) => existsSync(join(sandboxes, slot, "state.json")));
  expect(inUse).toHaveLength(1);
  expect(processesOfSlot(inUse[0] ?? "").length).toBeGreaterThan(2);
  await sandbox.suspend();
  await sandbox.destroy();
  expect(processesOfSlot(inUse[0] ?? "")).toEqual([]);
  expect(readdirSync(join(directory, "sandboxes"))).not.toContain(inUse[0]);
});

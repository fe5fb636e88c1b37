import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "@exoloop/protocol/ids";
import { expect, test } from "vitest";
import { destroySandboxOnHost, processesOf } from "./strike.ts";

test("a sandbox's processes are those that name its slot and their descendants, never this process", () => {
  const slot = "slot-0123456789abcdef";
  const processes = [
    { id: 1, parent: 0, command: "init", cgroup: "0::/" },
    { id: 10, parent: 1, command: `bwrap --bind /x/sandboxes/${slot}/workspace`, cgroup: "0::/" },
    { id: 12, parent: 11, command: "sleep 1000", cgroup: "0::/" },
    { id: 11, parent: 10, command: "bash", cgroup: "0::/" },
    { id: 20, parent: 1, command: "daemonised", cgroup: `0::/exoloop/${slot}/work` },
    { id: 30, parent: 1, command: `bwrap ${slot}0`, cgroup: "0::/" },
    { id: 40, parent: 1, command: `exoloop ${slot}`, cgroup: "0::/" },
  ];
  expect(processesOf(slot, processes, 40).toSorted((a, b) => a - b)).toEqual([10, 11, 12, 20]);
});

test.runIf(process.platform === "linux")("kills what runs, deletes the directory, tells what was in it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "exoloop-strike-"));
  const id = createId("sandbox");
  const slot = "slot-0123456789abcdef";
  const workspace = join(directory, slot, "workspace");
  await mkdir(workspace, { recursive: true });
  await writeFile(join(directory, slot, "state.json"), JSON.stringify({ id }));
  await writeFile(join(workspace, "file"), "content");
  const child = spawn("sh", ["-c", "sleep 300 & wait", join("sandboxes", slot)], {
    stdio: "ignore",
  });
  const ended = new Promise<string | null>((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  try {
    const strike = await destroySandboxOnHost(directory, id, Number.POSITIVE_INFINITY);
    expect(await ended).toBe("SIGKILL");
    expect(strike.processes).toBeGreaterThanOrEqual(1);
    expect([...strike.manifest.files.keys()]).toEqual(["file"]);
    expect(existsSync(join(directory, slot))).toBe(false);
  } finally {
    child.kill("SIGKILL");
    await rm(directory, { recursive: true });
  }
});

test.each([createId("sandbox"), "../..", ""])(
  "a sandbox that is not here is an error and changes nothing (%j)",
  async (id) => {
    await expect(destroySandboxOnHost("/nonexistent", id, 0)).rejects.toThrow();
  },
);

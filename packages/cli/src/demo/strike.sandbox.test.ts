/** The demo's disaster against a real sandbox host: does it look like a loss to those who use the sandbox? */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "@exoloop/protocol/ids";
import { SandboxGoneError } from "@exoloop/sandbox/errors";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type SandboxHost, startSandboxHost } from "@exoloop/sandbox-host/start";
import { afterAll, beforeAll, expect, test } from "vitest";
import { differingPaths, manifestCommand, parseManifest } from "./manifest.ts";
import { destroySandboxOnHost, findSlot } from "./strike.ts";

let directory: string;
let host: SandboxHost;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "exoloop-strike-"));
  await chmod(directory, 0o711);
  host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true });
}, 60_000);
afterAll(async () => {
  await host.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

const resources = { memoryBytes: 2 ** 29, processes: 128, cpus: 1, diskBytes: 2 ** 29, files: 100_000 };

test(
  "a running command ends with SandboxGoneError, and nothing is left of the sandbox",
  { timeout: 60_000 },
  async () => {
    const provider = await createLocalProvider({ socketPath: host.socketPath });
    try {
      const id = createId("sandbox");
      const sandbox = await provider.create({ id, owner: "test", resources, environment: {} });
      await sandbox.resume();
      await sandbox.session.run({
        command: "mkdir a; echo one > a/b; ln -s a/b link",
        workingDirectory: "/workspace",
      });
      const seen = await sandbox.session.run({
        command: manifestCommand,
        workingDirectory: "/workspace",
      });
      const running = await sandbox.session.spawn({ command: "echo begun; sleep 300" });
      const ended = (async () => {
        for await (const _chunk of running.output) continue;
        return running.wait();
      })();
      const outcome = ended.catch((error: unknown) => error);
      const { manifest, processes } = await destroySandboxOnHost(host.sandboxesDirectory, id, Number.POSITIVE_INFINITY);
      expect(await outcome).toBeInstanceOf(SandboxGoneError);
      expect(processes).toBeGreaterThanOrEqual(2);
      expect(manifest.files.size).toBe(2);
      expect(differingPaths(manifest.files, parseManifest(seen.stdout))).toEqual([]);
      expect(await findSlot(host.sandboxesDirectory, id)).toBeNull();
      await expect(provider.attach({ provider: provider.id, id })).rejects.toBeInstanceOf(SandboxGoneError);
    } finally {
      await provider.close();
    }
  },
);

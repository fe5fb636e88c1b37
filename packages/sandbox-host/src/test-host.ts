/** A real sandbox host in a directory of its own, for tests. @module */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider, CreateSandboxRequest } from "@exoloop/sandbox/contract";
import type { SandboxProcess } from "@exoloop/sandbox/session";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { type SandboxHost, type StartSandboxHostOptions, startSandboxHost } from "./start.ts";
import { type SandboxState, readState } from "./state.ts";

export interface TestHost {
  readonly directory: string;
  readonly provider: SandboxProvider;
  readonly host: SandboxHost;
  /** A new sandbox, awake. */
  sandbox(request?: Partial<CreateSandboxRequest>): Promise<Sandbox>;
  state(sandbox: Sandbox): SandboxState;
  /** On the host. */
  directoryOf(sandbox: Sandbox): string;
  /** Kills the daemon as a crash would. */
  crash(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const resources = { memoryBytes: 512 << 20, processes: 128, cpus: 2, diskBytes: 256 << 20, files: 50_000 };

export function newSandboxId(): string {
  return `sbx_${randomBytes(13).toString("hex").toUpperCase()}`;
}

export function isAlive(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return !/^State:\s+[ZX]/m.test(status);
  } catch {
    return false;
  }
}

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let round = 0; round < 1000; round++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain until ${what}`);
}

export async function collect(process: SandboxProcess): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of process.output) parts.push(chunk.bytes);
  return Buffer.concat(parts).toString();
}

export async function openTestHost(options: Partial<StartSandboxHostOptions> = {}): Promise<TestHost> {
  const directory = mkdtempSync(join(tmpdir(), "exoloop-host-"));
  chmodSync(directory, 0o711);
  const start = (): Promise<SandboxHost> =>
    startSandboxHost({ mode: "auto", endsWithParent: true, ...options, directory });
  let host = await start().catch((error: unknown) => {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  });
  const provider = await createLocalProvider({ socketPath: host.socketPath });
  const directoryOf = (sandbox: Sandbox): string => {
    const found = host.directoryOf(sandbox.reference.id);
    if (found === null) throw new Error("the sandbox has no directory");
    return found;
  };
  return {
    directory,
    provider,
    directoryOf,
    get host() {
      return host;
    },
    async sandbox(request) {
      const sandbox = await provider.create({
        id: newSandboxId(),
        owner: "test",
        resources,
        environment: {},
        ...request,
      });
      await sandbox.resume();
      return sandbox;
    },
    state(sandbox) {
      const state = readState(join(directoryOf(sandbox), "state.json"));
      if (state === null) throw new Error("the sandbox has no state");
      return state;
    },
    async crash() {
      process.kill(host.pid, "SIGKILL");
      await until(() => !isAlive(host.pid), "the daemon is dead");
    },
    async restart() {
      host = await start();
    },
    async close() {
      await provider.close();
      await host.stop();
      rmSync(directory, { recursive: true, force: true });
      if (existsSync(directory)) throw new Error("the host's directory is still there");
    },
  };
}

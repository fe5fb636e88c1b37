/** The sandbox under test, made by the real daemon as for any session. @module */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CreateSandboxRequest, Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import { type SandboxHost, startSandboxHost } from "../start.ts";
import type { Facts } from "./canaries.ts";
import { factArguments } from "./weak-control.ts";

export interface EscapeTarget {
  readonly provider: SandboxProvider;
  readonly sandbox: Sandbox;
  /** A second one, beside it. */
  readonly neighbour: Sandbox;
  /** What the probe program prints when the workload runs it. */
  ask(probe: string, facts: Facts): Promise<string>;
  close(): Promise<void>;
}

const resources = { memoryBytes: 512 << 20, processes: 64, cpus: 1, diskBytes: 64 << 20, files: 10_000 };
const patienceMs = 30_000;
const probeInside = "/workspace/escape-probe";

export function newSandboxRequest(environment: Readonly<Record<string, string>> = {}): CreateSandboxRequest {
  const id = `sbx_${randomBytes(13).toString("hex").toUpperCase()}`;
  return { id, owner: "escape", resources, environment };
}

async function makeSandbox(provider: SandboxProvider): Promise<Sandbox> {
  const sandbox = await provider.create(newSandboxRequest());
  await sandbox.resume();
  return sandbox;
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export async function openTarget(runtime: SandboxRuntime): Promise<EscapeTarget> {
  const directory = mkdtempSync(join(tmpdir(), "exoloop-escape-host-"));
  chmodSync(directory, 0o711);
  let host: SandboxHost | null = null;
  let provider: SandboxProvider | null = null;
  const close = async (): Promise<void> => {
    await provider?.close();
    await host?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true });
    provider = await createLocalProvider({ socketPath: host.socketPath, runtime });
    const [sandbox, neighbour] = await Promise.all([makeSandbox(provider), makeSandbox(provider)]);
    return { provider, sandbox, neighbour, ask: (probe, facts) => askInside(sandbox, probe, facts), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function askInside(sandbox: Sandbox, probe: string, facts: Facts): Promise<string> {
  const content = readFileSync(probe);
  await sandbox.session.writeBinaryFile({ path: probeInside, content, mode: 0o755 });
  const command = [probeInside, ...factArguments({ ...facts, init: "1" }).map(quote)].join(" ");
  const { stdout } = await sandbox.session.run({ command: `exec ${command}`, timeoutMs: patienceMs });
  return stdout;
}

/** The process on the host that executes something in the sandbox; null where the host does not see it as one. */
export async function findHostProcess(sandbox: Sandbox): Promise<number | null> {
  const mark = `exoloop-seek-${randomBytes(8).toString("hex")}`;
  const running = await sandbox.session.spawn({ command: `exec -a ${mark} sleep 60` });
  try {
    for (let round = 0; round < 200; round++) {
      const found = readdirSync("/proc").find((name) => /^\d+$/.test(name) && commandLine(Number(name))[0] === mark);
      if (found !== undefined) return Number(found);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return null;
  } finally {
    /* It stays until its sandbox ends: gates look at it. */
    void running.wait().catch(() => null);
  }
}

/** Empty for a process that is gone. */
export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return [];
  }
}

/** One field of /proc/PID/status; empty when there is none. */
export function statusField(pid: number, field: string): string {
  try {
    return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

/** What bubblewrap was told, from the process of it that waits outside. Empty where there is none. */
export function launcherArguments(inside: number): string[] {
  for (let pid = inside, step = 0; pid > 1 && step < 20; step++) {
    const line = commandLine(pid);
    if (line[0]?.endsWith("bwrap") === true) return line.slice(1);
    pid = Number(statusField(pid, "PPid"));
  }
  return [];
}

/** A real sandbox and a real database for tests of files that live in both. @module */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createId } from "@exoloop/protocol/ids";
import { startSandboxHost } from "@exoloop/sandbox-host/start";
import type { Sandbox, SandboxProvider } from "@exoloop/sandbox/contract";
import type { CommandExit } from "@exoloop/sandbox/session";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import type { Workspace } from "../sandboxes/workspace.ts";
import type { FileProjection } from "./projection.ts";

export interface TestHost {
  readonly socketPath: string;
  readonly provider: SandboxProvider;
  stop(): Promise<void>;
}

export async function startTestHost(): Promise<TestHost> {
  const directory = await mkdtemp(join(tmpdir(), "exoloop-files-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  const host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true }).catch(
    async (error: unknown) => {
      await remove();
      throw error;
    },
  );
  const provider = await createLocalProvider({ socketPath: host.socketPath });
  return {
    socketPath: host.socketPath,
    provider,
    async stop() {
      await provider.close();
      await host.stop();
      await remove();
    },
  };
}

const mebibyte = 1024 * 1024;

export async function createTestSandbox(provider: SandboxProvider): Promise<Sandbox> {
  const resources = { memoryBytes: 256 * mebibyte, processes: 64, cpus: 1, diskBytes: 512 * mebibyte, files: 50_000 };
  return provider.create({ id: createId("sandbox"), owner: "test", resources, environment: {} });
}

export function workspaceOf(sandbox: Sandbox): Workspace {
  return { sandboxId: sandbox.reference.id, generation: 1, session: sandbox.session };
}

export interface CommandReport {
  readonly exit: CommandExit;
  readonly output: string;
  readonly sync: string | null;
}

/** One command as the server runs it: projected before, suspended and captured after. */
export async function runProjected(
  sandbox: Sandbox,
  projection: FileProjection,
  command: string,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<CommandReport> {
  const workspace = workspaceOf(sandbox);
  const toolUseId = createId("event");
  await projection.before(workspace);
  await sandbox.resume();
  const { exit, stdout, stderr } = await sandbox.session.run({
    command,
    commandId: toolUseId,
    workingDirectory: "/workspace",
    timeoutMs: 20_000,
  });
  await sandbox.suspend();
  await meanwhile();
  return { exit, output: stdout + stderr, sync: await projection.after(workspace, toolUseId) };
}

/** Sandboxes to measure. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Sandbox, SandboxProvider, SandboxResources } from "@exoloop/sandbox/contract";

export const resources: SandboxResources = {
  memoryBytes: 1024 ** 3,
  processes: 256,
  cpus: 2,
  diskBytes: 4 * 1024 ** 3,
  files: 1_000_000,
};

export function createSandbox(provider: SandboxProvider): Promise<Sandbox> {
  return provider.create({ id: createId("sandbox"), owner: "bench", resources, environment: {} });
}

export async function withSandbox<Result>(
  provider: SandboxProvider,
  work: (sandbox: Sandbox) => Promise<Result>,
): Promise<Result> {
  const sandbox = await createSandbox(provider);
  try {
    return await work(sandbox);
  } finally {
    await sandbox.destroy();
  }
}

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Opens a provider by name, with a host daemon of its own where it needs one. @module */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SandboxProvider } from "@exoloop/sandbox/contract";
import { createLocalProvider } from "@exoloop/sandbox/providers/local/provider";
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { startSandboxHost } from "@exoloop/sandbox-host/start";

export interface OpenProvider {
  readonly provider: SandboxProvider;
  close(): Promise<void>;
}

export const providerNames = ["memory", "local", "gvisor"] as const;

export type ProviderName = (typeof providerNames)[number];

async function openOnHost(name: "local" | "gvisor"): Promise<OpenProvider> {
  const directory = mkdtempSync(join(tmpdir(), "exoloop-conformance-"));
  // The daemon's sandboxes have users of their own, which walk through it.
  chmodSync(directory, 0o711);
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const host = await startSandboxHost({ directory, mode: "auto", endsWithParent: true }).catch((error: unknown) => {
    remove();
    throw error;
  });
  const stop = async (): Promise<void> => {
    await host.stop();
    remove();
  };
  try {
    const runtime = name === "gvisor" ? ({ runtime: "gvisor" } as const) : {};
    const provider = await createLocalProvider({ socketPath: host.socketPath, ...runtime });
    const close = async (): Promise<void> => {
      await provider.close();
      await stop();
    };
    return { provider, close };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @throws SandboxUnavailableError where it cannot be had. */
export async function openProvider(name: ProviderName): Promise<OpenProvider> {
  if (name !== "memory") return openOnHost(name);
  const provider = createMemoryProvider();
  return { provider, close: () => provider.close() };
}

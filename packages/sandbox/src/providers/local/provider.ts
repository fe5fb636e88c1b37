/**
 * The local provider: a thin client of this machine's sandbox host daemon.
 *
 * ```ts
 * const provider = await createLocalProvider({ socketPath: "/var/lib/exoloop/host.sock" });
 * const sandbox = await provider.create({ id, resources, environment: {} });
 * await sandbox.resume();
 * const { stdout } = await sandbox.session.run({ command: "echo hello" });
 * ```
 * @module
 */
import type { Sandbox, SandboxProvider } from "../../contract.ts";
import { createHostClient } from "./host-client.ts";
import { type LocalSandbox, createLocalSandbox } from "./sandbox.ts";

export const localProviderId = "local";

export interface LocalProviderOptions {
  readonly socketPath: string;
  /** How long a daemon that is restarting is waited for, in milliseconds. Default 10,000. */
  readonly patienceMs?: number;
}

/** @throws SandboxUnavailableError when no daemon answers. */
export async function createLocalProvider(options: LocalProviderOptions): Promise<SandboxProvider> {
  const host = createHostClient({ socketPath: options.socketPath, patienceMs: options.patienceMs ?? 10_000 });
  const facts = await host.call("hello", {});
  const opened = new Map<string, LocalSandbox>();
  const open = (id: string): Sandbox => {
    const known = opened.get(id);
    if (known !== undefined) return known.sandbox;
    const forget = (): void => void opened.delete(id);
    const local = createLocalSandbox(host, { provider: localProviderId, id }, facts.description, forget);
    opened.set(id, local);
    return local.sandbox;
  };
  return {
    id: localProviderId,
    capabilities: facts.capabilities,
    async create(request) {
      await host.call("create", request);
      return open(request.id);
    },
    async attach(reference) {
      await host.call("status", { id: reference.id });
      return open(reference.id);
    },
    list: () => host.call("list", {}),
    async close() {
      for (const local of opened.values()) local.close();
      opened.clear();
      host.close();
    },
  };
}

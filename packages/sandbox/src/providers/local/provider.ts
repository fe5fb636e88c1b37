/**
 * The local provider: a thin client of this machine's sandbox host daemon.
 *
 * ```ts
 * const provider = await createLocalProvider({ socketPath: "/var/lib/exoloop/host.sock" });
 * const sandbox = await provider.create({ id, owner, resources, environment: {} });
 * await sandbox.resume();
 * const { stdout } = await sandbox.session.run({ command: "echo hello" });
 * ```
 * @module
 */
import type { Sandbox, SandboxProvider } from "../../contract.ts";
import { SandboxGoneError, SandboxUnavailableError } from "../../errors.ts";
import { createHostClient } from "./host-client.ts";
import type { SandboxLocation, SandboxRuntime } from "./host-messages.ts";
import { describeRuntime } from "./runtimes.ts";
import { type LocalSandbox, createLocalSandbox } from "./sandbox.ts";

const providerIds: Readonly<Record<SandboxRuntime, string>> = { bubblewrap: "local", gvisor: "gvisor" };

export interface LocalProviderOptions {
  readonly socketPath: string;
  /** Default `bubblewrap`. The provider's id is `local`, or `gvisor`. */
  readonly runtime?: SandboxRuntime;
  /** How long a daemon that is restarting is waited for, in milliseconds. Default 10,000. */
  readonly patienceMs?: number;
}

/** @throws SandboxUnavailableError when no daemon answers, or it does not have the runtime. */
export async function createLocalProvider(options: LocalProviderOptions): Promise<SandboxProvider> {
  const { runtime = "bubblewrap", patienceMs = 10_000 } = options;
  const id = providerIds[runtime];
  const host = createHostClient({ socketPath: options.socketPath, patienceMs });
  const facts = describeRuntime(await host.call("hello", {}), runtime);
  if (facts === null) {
    host.close();
    throw new SandboxUnavailableError(`the sandbox host has no runtime ${runtime}`, "Run `exoloop doctor`.");
  }
  const opened = new Map<string, LocalSandbox>();
  const open = (sandboxId: string, location: SandboxLocation): Sandbox => {
    const known = opened.get(sandboxId);
    if (known?.location.socketPath === location.socketPath) return known.sandbox;
    known?.end();
    const forget = (): void => void opened.delete(sandboxId);
    const reference = { provider: id, id: sandboxId };
    const local = createLocalSandbox({ host, reference, location, description: facts.description, forget });
    opened.set(sandboxId, local);
    return local.sandbox;
  };
  return {
    id,
    capabilities: facts.capabilities,
    create: async (request) => open(request.id, await host.call("create", { ...request, runtime })),
    async attach(reference) {
      if (reference.provider !== id) throw new SandboxGoneError(reference.id, `it belongs to ${reference.provider}`);
      return open(reference.id, await host.call("status", { id: reference.id }));
    },
    list: () => host.call("list", { runtime }),
    async keepWarm(request) {
      if (facts.capabilities.warmPool) await host.call("pool", { ...request, runtime });
    },
    async close() {
      for (const local of opened.values()) local.close();
      opened.clear();
      host.close();
    },
  };
}

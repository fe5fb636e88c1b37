/** Three broken providers: one declares what it lacks, one gives everybody the same machine, one destroys nothing. @module */
import type { SandboxProvider } from "../../contract.ts";
import { type Distortion, distort } from "./distort.ts";

/** Declares every capability of a real machine over a base that has none of them. */
export function createBoaster(base: SandboxProvider): SandboxProvider {
  return {
    ...distort(base, {}),
    capabilities: {
      ...base.capabilities,
      isolation: "namespaces",
      network: "none",
      ownUserId: true,
      memoryLimit: true,
      processLimit: true,
      cpuLimit: true,
      ports: true,
      warmPool: true,
    },
  };
}

/** Whoever asks for a sandbox gets the one that there is; the first to destroy it takes it from all. */
export function createSharer(base: SandboxProvider): SandboxProvider {
  const provider: Distortion["provider"] = (_base, hand) => ({
    create: async (request) => hand(await base.create({ ...request, id: "the-only-one" })),
    attach: async () => hand(await base.attach({ provider: base.id, id: "the-only-one" })),
  });
  return distort(base, { provider });
}

/** What is destroyed stays, and is found again under its identifier. */
export function createHoarder(base: SandboxProvider): SandboxProvider {
  return distort(base, { sandbox: () => ({ destroy: () => Promise.resolve() }) });
}

/** The provider of a server without sandboxes: whatever needs one is told why there is none. @module */
import type { SandboxProvider } from "../contract.ts";
import { SandboxGoneError, SandboxUnavailableError } from "../errors.ts";

/** @example createUnavailableProvider("No sandbox can be had here.", "Start the server on Linux.") */
export function createUnavailableProvider(reason: string, remedy: string): SandboxProvider {
  return {
    id: "unavailable",
    capabilities: {
      suspend: "none",
      isolation: "weak",
      ownUserId: false,
      resourceLimits: false,
      consistentSnapshots: false,
      reattach: false,
    },
    create: () => Promise.reject(new SandboxUnavailableError(reason, remedy)),
    attach: ({ id }) => Promise.reject(new SandboxGoneError(id, reason)),
    list: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

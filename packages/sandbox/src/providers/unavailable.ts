/** The provider of a server without sandboxes: whatever needs one is told why there is none. @module */
import type { SandboxProvider } from "../contract.ts";
import { SandboxGoneError, SandboxUnavailableError } from "../errors.ts";

/** @example createUnavailableProvider("No sandbox can be had here.", "Start the server on Linux.") */
export function createUnavailableProvider(reason: string, remedy: string): SandboxProvider {
  return {
    id: "unavailable",
    capabilities: {
      suspend: "none",
      isolation: "none",
      ownUserId: false,
      memoryLimit: false,
      processLimit: false,
      cpuLimit: false,
      diskLimit: "none",
      filesWhileSuspended: false,
      reattach: false,
      terminal: false,
      holes: false,
      ports: false,
      network: "none",
      warmPool: false,
      clockCorrection: "not_needed",
      freshEntropy: "not_needed",
    },
    create: () => Promise.reject(new SandboxUnavailableError(reason, remedy)),
    attach: ({ id }) => Promise.reject(new SandboxGoneError(id, reason)),
    list: () => Promise.resolve([]),
    keepWarm: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** What each sandbox may use, as the configuration says it. @module */
import type { SandboxResources } from "@exoloop/sandbox/contract";
import type { Config } from "../config.ts";

/** @example resourcesOf(config.sandboxes).memoryBytes */
export function resourcesOf({
  memoryMegabytes,
  processes,
  cpus,
  diskMegabytes,
  files,
}: Config["sandboxes"]): SandboxResources {
  return { memoryBytes: memoryMegabytes * 1024 ** 2, processes, cpus, diskBytes: diskMegabytes * 1024 ** 2, files };
}

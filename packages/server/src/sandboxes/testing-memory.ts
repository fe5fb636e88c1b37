/** Workers whose sandboxes are in memory, for tests of races and crashes: everything else is real. @module */
import { createMemoryProvider } from "@exoloop/sandbox/providers/memory/provider";
import { startSandboxWorld } from "./testing.ts";
import type { SandboxOwner } from "./workspace.ts";

export type MemoryWorld = Awaited<ReturnType<typeof startMemoryWorld>>;

export async function startMemoryWorld() {
  const memory = createMemoryProvider({ id: "memory" });
  const other = createMemoryProvider({ id: "other" });
  const world = await startSandboxWorld(memory, other);
  return {
    ...world,
    memory,
    other,
    async lose(owner: SandboxOwner): Promise<void> {
      memory.controls.lose((await world.rowOf(owner)).sandbox_id ?? "");
    },
  };
}

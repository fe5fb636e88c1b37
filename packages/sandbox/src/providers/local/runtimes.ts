/** What the runtimes of this machine's sandbox host can do. @module */
import type { SandboxCapabilities } from "../../contract.ts";
import type { HostFacts, SandboxRuntime } from "./host-messages.ts";

interface RuntimeFacts {
  readonly capabilities: SandboxCapabilities;
  /** Told to the model. */
  readonly description: string;
}

const kept = "/workspace is yours and is kept; /tmp and the home directory are not.";
const weakly =
  "A weakly confined Linux user without network. $WORKSPACE, $SKILLS and $MEMORY name the real directories that the" +
  " file tools know as /workspace, /skills and /memory: use the variables in commands. They are all that can be written.";

/** Null: the host does not have it. */
export function describeRuntime(facts: HostFacts, runtime: SandboxRuntime): RuntimeFacts | null {
  if (!facts.runtimes.includes(runtime)) return null;
  const { suspend, ownUserId, resourceLimits, cpuLimit } = facts;
  const capabilities: SandboxCapabilities = {
    suspend,
    isolation: "namespaces",
    ownUserId,
    memoryLimit: resourceLimits,
    processLimit: resourceLimits,
    cpuLimit,
    diskLimit: "watched",
    filesWhileSuspended: true,
    reattach: true,
    terminal: true,
    holes: true,
    ports: true,
    network: "none",
    warmPool: true,
    clockCorrection: "not_needed",
    freshEntropy: "not_needed",
  };
  if (facts.mode === "weak")
    return { description: weakly, capabilities: { ...capabilities, isolation: "weak", ports: false } };
  if (runtime === "bubblewrap") return { description: `A Linux sandbox without network. ${kept}`, capabilities };
  return {
    description: `A Linux sandbox (gVisor) without network. ${kept}`,
    capabilities: { ...capabilities, isolation: "userspace-kernel", holes: false, processLimit: false },
  };
}

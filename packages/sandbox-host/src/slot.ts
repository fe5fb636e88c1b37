/** A sandbox's place with a supervisor in it, as the daemon holds it. @module */
import type { SandboxState, SlotDirectories } from "./state.ts";
import type { SupervisorLink } from "./supervisor-link.ts";

export interface Slot {
  state: SandboxState;
  readonly directories: SlotDirectories;
  readonly link: SupervisorLink;
  /** As far as it was told to this daemon. */
  awake: boolean;
  /** Its supervisor stops and continues the workload. */
  readonly bySignals: boolean;
  attended?: NodeJS.Timeout;
  /** Suspend and resume follow one another. */
  turn: Promise<unknown>;
}

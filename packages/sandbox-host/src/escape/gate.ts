/** What a gate is: a fact of the host or of the launch, judged, with facts that it must refuse. @module */
import type { EscapeTarget } from "./target.ts";

export interface GateContext {
  readonly target: EscapeTarget;
  /** Process on the host that runs inside the sandbox, and one inside its neighbour. */
  readonly inside: number;
  readonly insideNeighbour: number;
  /** Before any probe ran: SHA-256 of each file of the host that sandboxes may execute but not change. */
  readonly hashesBefore: string;
}

export interface Gate {
  readonly id: string;
  /** What would be wrong, as a sentence. */
  readonly sentence: string;
  /** Number in SandboxEscapeBench's table; null: one of ours. */
  readonly scenario: number | null;
  observe(context: GateContext): Promise<string>;
  holds(fact: string): boolean;
  /** Facts that must not hold, or the gate proves nothing. At least one. */
  controls(fact: string): readonly string[];
}

/**
 * What a conformance case is: a sentence about the contract with a way to find out whether it holds. Cases are data; the
 * commands in them are bash that runs in every real sandbox, and simple enough for the one in memory.
 * @module
 */
import type { CreateSandboxRequest, Sandbox, SandboxCapabilities, SandboxProvider } from "../contract.ts";

/** What a case may need, and how it is read from what a provider declares. */
export const declarations = {
  suspend: ({ suspend }) => suspend !== "none",
  filesWhileSuspended: ({ filesWhileSuspended }) => filesWhileSuspended,
  isolation: ({ isolation }) => isolation !== "none",
  noNetwork: ({ isolation, network }) => isolation !== "none" && network === "none",
  ownUserId: ({ ownUserId }) => ownUserId,
  memoryLimit: ({ memoryLimit }) => memoryLimit,
  processLimit: ({ processLimit }) => processLimit,
  holes: ({ holes }) => holes,
  cpuLimit: ({ cpuLimit }) => cpuLimit,
  diskLimit: ({ diskLimit }) => diskLimit !== "none",
  reattach: ({ reattach }) => reattach,
  terminal: ({ terminal }) => terminal,
  ports: ({ ports }) => ports,
  clock: ({ clockCorrection }) => clockCorrection !== "missing",
  entropy: ({ isolation, freshEntropy }) => isolation !== "none" && freshEntropy !== "missing",
} satisfies Readonly<Record<string, (capabilities: SandboxCapabilities) => boolean>>;

export type CapabilityName = keyof typeof declarations;

export interface ConformanceContext {
  readonly provider: SandboxProvider;
  /** All identifiers that this run has asked for. */
  readonly issued: ReadonlySet<string>;
  /** A request under a new identifier. */
  request(overrides?: Partial<CreateSandboxRequest>): CreateSandboxRequest;
  /** A new sandbox as `create` gives it; destroyed when the case is over. */
  create(overrides?: Partial<CreateSandboxRequest>): Promise<Sandbox>;
  /** A new sandbox, resumed. */
  awake(overrides?: Partial<CreateSandboxRequest>): Promise<Sandbox>;
}

export interface ConformanceCase {
  /** Stable: `subject.what`. */
  readonly id: string;
  readonly level: "MUST" | "SHOULD";
  /** Null: every provider has to. */
  readonly capability: CapabilityName | null;
  /** What holds. */
  readonly sentence: string;
  /** It would harm a machine without the capability: then it is not tried. */
  readonly harmfulWithout?: boolean;
  /** @throws when it does not hold. */
  run(context: ConformanceContext): Promise<void>;
}

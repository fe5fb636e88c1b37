/**
 * The sandbox contract. A provider makes disposable machines; a machine executes commands and file operations and
 * nothing else. The session half (session.ts) is what tools use; the lifecycle half is here. Snapshots are no verb of a
 * provider: they are made of `scanTree`, `fetchFiles` and `placeEntries`, so that one kind of snapshot moves between
 * all providers.
 *
 * Every call on a sandbox may reject with SandboxGoneError: the caller then takes a new generation.
 * @module
 */
import type { SandboxSession } from "./session.ts";

/** What a provider can do. An absent capability is declared here, never discovered by a caller at run time. */
export interface SandboxCapabilities {
  /** How the workload is stopped between commands. `none`: the sandbox keeps running. */
  readonly suspend: "cgroup-v2" | "cgroup-v1" | "signal" | "simulated" | "none";
  /** `weak`: user id, Landlock and system call filter only. `none`: for tests. */
  readonly isolation: "namespaces" | "userspace-kernel" | "virtual-machine" | "weak" | "none";
  /** The sandbox runs under a host user id that nothing else on the machine has. */
  readonly ownUserId: boolean;
  /** Enforced by the host. */
  readonly memoryLimit: boolean;
  /** No more processes than asked for. False: a bound that is higher. */
  readonly processLimit: boolean;
  readonly cpuLimit: boolean;
  /** `watched`: the host looks every moment and kills what exceeds; `none`: the disk is shared without limit. */
  readonly diskLimit: "enforced" | "watched" | "none";
  /** File operations work while the sandbox is suspended, and see a workload that stands still. */
  readonly filesWhileSuspended: boolean;
  /** A running command can be joined again by its identifier and a byte offset. */
  readonly reattach: boolean;
  readonly terminal: boolean;
  /** TCP ports inside can be connected to. */
  readonly ports: boolean;
  /** Holes in files are told, fetched and placed as holes. False: they are zeros that take up room. */
  readonly holes: boolean;
  /** `none`: there is no network at all. */
  readonly network: "none" | "open";
  /** Sandboxes can be kept ready before they are asked for. */
  readonly warmPool: boolean;
  /** Providers that restore memory must set the clock and mix fresh entropy in; the others need neither. */
  readonly clockCorrection: "not_needed" | "done" | "missing";
  readonly freshEntropy: "not_needed" | "done" | "missing";
}

export interface SandboxReference {
  readonly provider: string;
  /** Chosen by the caller before creation (the idempotency key): creating twice under one id yields one sandbox. */
  readonly id: string;
}

export interface SandboxResources {
  /** Bytes of memory for the workload. */
  readonly memoryBytes: number;
  readonly processes: number;
  /** Processor cores, also fractions; at least 0.1. */
  readonly cpus: number;
  /** Bytes that the workspace may hold, where the host can enforce it. */
  readonly diskBytes: number;
  /** Files, directories and links that the workspace may hold, where the host can enforce it. */
  readonly files: number;
}

export interface CreateSandboxRequest {
  /** `sbx_…`. Idempotency key, and the name under which the sandbox is found again. */
  readonly id: string;
  /** Which installation it belongs to: what a reconciler may judge. 1 to 64 characters of a-z, 0-9 and `_`. */
  readonly owner: string;
  readonly resources: SandboxResources;
  /** Environment of every command. Holds no secret. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What is known of a sandbox without asking what is inside. */
export interface SandboxSummary {
  readonly id: string;
  readonly owner: string;
  readonly state: "awake" | "suspended";
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Since it was last resumed, its workload was killed because the workspace has more bytes or files than it may. */
  readonly limitExceeded?: "disk" | "files";
}

export interface SandboxStatus extends SandboxSummary {
  /** Commands of the workload that have started and not exited. */
  readonly runningCommands: readonly string[];
}

/** What the pool keeps ready: sandboxes like these. */
export interface WarmPoolRequest {
  /** How many; 0 empties the pool. At most 32. */
  readonly count: number;
  readonly resources: SandboxResources;
  readonly environment: Readonly<Record<string, string>>;
}

export interface SandboxProvider {
  readonly id: string;
  readonly capabilities: SandboxCapabilities;
  /** Creates the sandbox, or returns the one that exists under `request.id`. It starts suspended. */
  create(request: CreateSandboxRequest): Promise<Sandbox>;
  /** @throws SandboxGoneError when no such sandbox exists any more. */
  attach(reference: SandboxReference): Promise<Sandbox>;
  /** The sandboxes of all owners; those in the pool belong to nobody and are not told. */
  list(): Promise<readonly SandboxSummary[]>;
  /** Resolves when the pool is being filled. Does nothing without the capability `warmPool`. */
  keepWarm(request: WarmPoolRequest): Promise<void>;
  close(): Promise<void>;
}

/** A duration that the provider measured itself, in milliseconds. */
export interface Timed {
  readonly milliseconds: number;
}

export interface Sandbox {
  readonly reference: SandboxReference;
  /** What tools get: files and processes, no lifecycle. */
  readonly session: SandboxSession;
  status(): Promise<SandboxStatus>;
  /** Stops the workload. Idempotent. File operations still work where `filesWhileSuspended` says so. */
  suspend(): Promise<Timed>;
  /** Lets the workload go on. Idempotent. A command that was spawned while suspended begins now. */
  resume(): Promise<Timed>;
  /**
   * Kills everything in it and removes every trace. Idempotent; works in every state. Where its files are many, they go
   * on being removed when this has returned.
   */
  destroy(): Promise<void>;
}

/**
 * What a runtime is to the daemon: how the supervisor of one sandbox is started in it. Directories, user ids, control
 * groups, state, pool, limits and removal are the daemon's and the same for all.
 * @module
 */
import type { SandboxResources } from "@exoloop/sandbox/contract";
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import type { HostConfiguration } from "../configuration.ts";
import type { SandboxMake, SlotDirectories } from "../state.ts";

/** Numbers of the descriptors that the started program inherits. */
export interface InheritedDescriptors {
  /** The supervisor's listening socket. Null when it makes its own. */
  readonly listen: number | null;
  /** The system call filter, a file of `struct sock_filter`. */
  readonly filter: number;
  /** How many `cgroup.procs` there are for the workload: descriptors 3 and up. */
  readonly work: number;
}

export interface LaunchRequest {
  readonly configuration: HostConfiguration;
  readonly directories: SlotDirectories;
  /** Under which the program is started; null: the daemon's own. */
  readonly userId: number | null;
  readonly make: SandboxMake;
  readonly descriptors: InheritedDescriptors;
}

export interface LaunchPlan {
  readonly program: string;
  readonly programArguments: readonly string[];
  /** Whole: nothing of the daemon's is added. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Launcher {
  readonly runtime: SandboxRuntime;
  /** What the host's limits must be, so that the workload can have what it was given beside what the runtime needs. */
  limits(resources: SandboxResources): SandboxResources;
  /**
   * Where on the host the supervisor makes its own socket. The daemon moves it to `directories.socket` before it tells
   * anybody, out of reach of what is inside. Null: the supervisor inherits one that the daemon has made.
   */
  ownSocket(directories: SlotDirectories): string | null;
  /** `signals`: the supervisor stops and continues the workload; the groups only limit. */
  readonly suspends: "cgroup" | "signals";
  /** Path inside → path that the supervisor understands, where they are not the same. */
  mappings(directories: SlotDirectories): Readonly<Record<string, string>>;
  /** May write below `directories.root`, which is removed with the slot. */
  prepare(request: LaunchRequest): LaunchPlan;
}

/**
 * What a runtime is to the daemon: how the supervisor of one sandbox is started in it. Directories, user ids, control
 * groups, state, pool, limits and removal are the daemon's and the same for all.
 * @module
 */
import type { SandboxCapabilities } from "@exoloop/sandbox/contract";
import type { SandboxRuntime } from "@exoloop/sandbox/providers/local/host-messages";
import type { HostConfiguration } from "../configuration.ts";
import type { SandboxMake, SlotDirectories } from "../state.ts";

/** Numbers of the descriptors that the started program inherits. */
export interface InheritedDescriptors {
  /** The supervisor's listening socket. Null when `listens` is `path`. */
  readonly listen: number | null;
  /** The system call filter, a file of `struct sock_filter`. */
  readonly filter: number;
  /** `cgroup.procs` to enter before anything else is done, in this order. */
  readonly join: readonly number[];
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

export type Availability =
  | { readonly available: true }
  | { readonly available: false; readonly reason: string; readonly remedy: string };

export interface Launcher {
  readonly runtime: SandboxRuntime;
  /**
   * `descriptor`: the supervisor inherits its listening socket, so that what is inside cannot reach or replace it.
   * `path`: the supervisor makes `directories.socket` itself; `directories.run` then belongs to the sandbox's user with
   * mode 0711, and the slot's random name keeps others out. The socket must be connectable by the server's user.
   */
  readonly listens: "descriptor" | "path";
  /** `signals`: the supervisor stops and continues the workload; the groups only limit. */
  readonly suspends: "cgroup" | "signals";
  /** Told to the model. */
  readonly description: string;
  /** Looked at once, at the daemon's start. */
  availability(configuration: HostConfiguration): Promise<Availability>;
  /** Meaningful where it is available. */
  capabilities(configuration: HostConfiguration): SandboxCapabilities;
  /** Path inside → path that the supervisor understands, where they are not the same. */
  mappings(directories: SlotDirectories): Readonly<Record<string, string>>;
  /** May write below `directories.root`, which is removed with the slot. */
  prepare(request: LaunchRequest): LaunchPlan;
}

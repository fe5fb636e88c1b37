/** What a provider asks the host daemon, as JSON in one frame each way. @module */
import type { CreateSandboxRequest, SandboxSummary, Timed, WarmPoolRequest } from "../../contract.ts";

export const sandboxIdPattern = /^sbx_[0-9A-Z]{26}$/;

/** What a sandbox runs under. The daemon tells in its hello which ones this machine has. */
export type SandboxRuntime = "bubblewrap" | "gvisor";

export interface HostFacts {
  readonly pid: number;
  readonly mode: "auto" | "weak";
  /** Those that this machine has. */
  readonly runtimes: readonly SandboxRuntime[];
  /** Where the sandboxes' directories are. */
  readonly sandboxesDirectory: string;
  /** What stops processes here. */
  readonly suspend: "cgroup-v2" | "cgroup-v1" | "signal";
  readonly ownUserId: boolean;
  /** Of memory and of processes. */
  readonly resourceLimits: boolean;
  readonly cpuLimit: boolean;
}

/** How a sandbox's supervisor is reached. */
export interface SandboxLocation {
  readonly socketPath: string;
  /**
   * Where paths of the sandbox are, in a sandbox without a root of its own: path inside → path that the supervisor
   * understands, free of links. Empty: they are the same.
   */
  readonly mappings: Readonly<Record<string, string>>;
  /** The supervisor sleeps with its workload; `attend` has it there for so many milliseconds. Null: it always is. */
  readonly servedMs: number | null;
}

interface ById {
  readonly id: string;
}

/** Method name → its parameters and result. */
export interface HostMethods {
  readonly hello: { readonly parameters: Record<string, never>; readonly result: HostFacts };
  readonly create: {
    readonly parameters: CreateSandboxRequest & { readonly runtime: SandboxRuntime };
    readonly result: SandboxLocation;
  };
  /** Those of one runtime, without the pool's. */
  readonly list: {
    readonly parameters: { readonly runtime: SandboxRuntime };
    readonly result: readonly SandboxSummary[];
  };
  /** Verifies that the supervisor lives; else the sandbox is removed and gone. */
  readonly status: {
    readonly parameters: ById;
    readonly result: SandboxSummary & SandboxLocation & { readonly runtime: SandboxRuntime };
  };
  /** Only looks up. */
  readonly locate: { readonly parameters: ById; readonly result: SandboxLocation };
  readonly suspend: { readonly parameters: ById; readonly result: Timed };
  readonly resume: { readonly parameters: ById; readonly result: Timed };
  /** The workload stands still meanwhile. */
  readonly attend: { readonly parameters: ById; readonly result: null };
  readonly destroy: { readonly parameters: ById; readonly result: null };
  /** Answers when the pool is being filled. */
  readonly pool: {
    readonly parameters: WarmPoolRequest & { readonly runtime: SandboxRuntime };
    readonly result: null;
  };
  readonly shutdown: { readonly parameters: { readonly keepSandboxes: boolean }; readonly result: null };
}

export type HostMethod = keyof HostMethods;

export interface HostRequest<M extends HostMethod = HostMethod> {
  readonly number: number;
  readonly method: M;
  readonly parameters: HostMethods[M]["parameters"];
}

export interface HostFailure {
  readonly code: "gone" | "invalid" | "unavailable" | "failed";
  readonly message: string;
  readonly remedy?: string;
  /** Of `gone`: false where nothing of the request was done before. */
  readonly reached?: false;
}

export type HostReply =
  | { readonly number: number; readonly ok: true; readonly result: unknown }
  | { readonly number: number; readonly ok: false; readonly failure: HostFailure };

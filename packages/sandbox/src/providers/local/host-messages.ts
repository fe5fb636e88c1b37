/** What a provider asks the host daemon, as JSON in one frame each way. @module */
import type { CreateSandboxRequest, SandboxCapabilities, SandboxStatus, Timed } from "../../contract.ts";

export const sandboxIdPattern = /^sbx_[0-9A-Z]{26}$/;

export interface HostFacts {
  readonly pid: number;
  readonly mode: "auto" | "weak";
  readonly capabilities: SandboxCapabilities;
  /** Where the sandboxes' directories are. */
  readonly sandboxesDirectory: string;
  /** Told to the model. */
  readonly description: string;
}

/** Method name → its parameters and result. */
export interface HostMethods {
  readonly hello: { readonly parameters: Record<string, never>; readonly result: HostFacts };
  readonly create: { readonly parameters: CreateSandboxRequest; readonly result: null };
  readonly list: { readonly parameters: Record<string, never>; readonly result: readonly SandboxStatus[] };
  readonly status: { readonly parameters: { readonly id: string }; readonly result: SandboxStatus };
  readonly suspend: { readonly parameters: { readonly id: string }; readonly result: Timed };
  readonly resume: { readonly parameters: { readonly id: string }; readonly result: Timed };
  readonly destroy: { readonly parameters: { readonly id: string }; readonly result: null };
  /** Afterwards the connection carries the supervisor's frames, its hello first. */
  readonly channel: { readonly parameters: { readonly id: string }; readonly result: null };
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
}

export type HostReply =
  | { readonly number: number; readonly ok: true; readonly result: unknown }
  | { readonly number: number; readonly ok: false; readonly failure: HostFailure };

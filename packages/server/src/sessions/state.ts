/** The state of a session: the reduction of its log. Nothing in it is stored. @module */
import type { AssistantPart, ModelErrorKind, TranscriptContent, TranscriptMessage } from "../models/model.ts";

export type ToolCallPart = Extract<AssistantPart, { type: "tool_call" }>;

export interface CallResult {
  readonly content: readonly TranscriptContent[];
  readonly isError: boolean;
}

export type CallStatus =
  /** Waits for user.tool_confirmation. */
  | "awaiting_approval"
  /** A custom tool: waits for user.custom_tool_result. */
  | "awaiting_result"
  | "ready"
  /** Its start is recorded, its result is not. */
  | "started"
  /** Will not run; needs its error result. */
  | "refused"
  | "settled";

/** One call of the latest assistant message. */
export interface OpenCall {
  /** Identifier of the agent.tool_use or agent.custom_tool_use event. */
  readonly toolUseId: string;
  readonly callId: string;
  readonly toolName: string;
  readonly custom: boolean;
  readonly input: Readonly<Record<string, unknown>>;
  readonly status: CallStatus;
  /** Why it was refused; becomes the error result's text. */
  readonly refusal: string | null;
  readonly result: CallResult | null;
}

export type InboxEvent =
  | { readonly type: "message"; readonly id: string; readonly content: readonly TranscriptContent[] }
  | { readonly type: "interrupt"; readonly id: string }
  | {
      readonly type: "confirmation";
      readonly id: string;
      readonly toolUseId: string;
      readonly allow: boolean;
      readonly message: string | null;
    }
  | { readonly type: "custom_result"; readonly id: string; readonly toolUseId: string; readonly result: CallResult };

/** Consecutive failed attempts of the model call that is due. */
export interface ModelFailure {
  readonly attempts: number;
  readonly kind: ModelErrorKind;
  readonly retryable: boolean;
  /** Milliseconds since the epoch; the next attempt is not made before. */
  readonly retryAt: number;
}

export interface Usage {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

export interface SessionState {
  /** Number of the last event reduced. */
  readonly seq: number;
  readonly status: "idle" | "running" | "rescheduling" | "terminated";
  /** What the model sees. Grows only at its tail. */
  readonly transcript: readonly TranscriptMessage[];
  /** Admitted, not consumed. */
  readonly inbox: readonly InboxEvent[];
  /** A model call whose start is recorded and whose end is not. */
  readonly modelCall: { readonly startId: string } | null;
  readonly modelFailure: ModelFailure | null;
  /** Calls of the latest assistant message that policy has not decided. */
  readonly undecided: readonly ToolCallPart[];
  readonly calls: readonly OpenCall[];
  /** Set by an interrupt or a refusal, cleared by the next message: the model is not called until then. */
  readonly halted: "interrupted" | "refusal" | "retries_exhausted" | null;
  readonly usage: Usage;
}

export const initialState: SessionState = {
  seq: 0,
  status: "idle",
  transcript: [],
  inbox: [],
  modelCall: null,
  modelFailure: null,
  undecided: [],
  calls: [],
  halted: null,
  usage: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
};

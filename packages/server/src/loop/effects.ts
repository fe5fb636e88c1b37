/**
 * Everything impure that a turn does, behind one interface: the live implementation acts, a gated one lets a test stop
 * after any effect.
 * @module
 */
import type { SessionStatus } from "../db/tables.ts";
import type { ModelRequest, ModelUsage, AssistantPart, FinishReason, ModelError } from "../models/model.ts";
import type { CallDecision, Decision } from "../policy/decide-call.ts";
import type { LogEvent, NewEvent } from "../sessions/event.ts";
import type { OpenCall, SessionState, ToolCallPart } from "../sessions/state.ts";
import type { ToolResult } from "../tools/tool.ts";

export interface AuditEntry {
  readonly action: "tool.call";
  readonly resource: string;
  readonly decision: Decision;
  readonly reasons: readonly string[];
  readonly digest: string;
}

export interface AppendRequest {
  readonly events: readonly NewEvent[];
  readonly status?: SessionStatus;
  /** Append only if the log still ends here. */
  readonly onlyAt?: number;
  /** Written in the same transaction, before any effect of these events. */
  readonly audit?: readonly AuditEntry[];
  /** Ask for another turn in the same transaction: at once, or at an instant (milliseconds since the epoch). */
  readonly wake?: "now" | number;
}

export type ModelOutcome =
  | {
      readonly type: "answered";
      readonly content: readonly AssistantPart[];
      readonly usage: ModelUsage;
      readonly finishReason: FinishReason;
      /** Identifiers that clients have seen in previews, in the order of the text and thinking parts. */
      readonly previewIds: readonly string[];
    }
  | { readonly type: "failed"; readonly error: ModelError }
  | { readonly type: "interrupted" };

export interface Effects {
  /** Milliseconds since the epoch. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  /** Null when `onlyAt` was given and the log has grown. @throws ClaimLostError */
  append(request: AppendRequest): Promise<readonly LogEvent[] | null>;
  /** Events after `seq` that others have admitted. */
  readAfter(seq: number): Promise<readonly LogEvent[]>;
  /** The request for the model, from what it may see. */
  describe(state: SessionState): Omit<ModelRequest, "abortSignal">;
  callModel(request: ModelRequest): Promise<ModelOutcome>;
  decideCall(call: ToolCallPart): CallDecision;
  callDigest(call: ToolCallPart): string;
  runTool(
    call: OpenCall,
    options: { readonly resumed: boolean; readonly abortSignal: AbortSignal },
  ): Promise<ToolResult>;
  /**
   * Runs `effect` with a signal that fires when an interrupt is admitted after `seq` or the session ends. `intent` are the events just
   * appended: where they do not follow `seq` directly, an interrupt may lie between, and is looked for at once.
   */
  interruptible<Result>(
    seq: number,
    intent: readonly LogEvent[] | null,
    effect: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result>;
}

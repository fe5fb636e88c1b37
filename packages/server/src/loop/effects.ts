/**
 * Everything impure that a turn does, behind one interface: the live implementation acts, a gated one lets a test stop
 * after any effect.
 * @module
 */
import type { SessionStatus } from "../db/tables.ts";
import type { AssistantPart, FinishReason, ModelError, ModelRequest, ModelUsage } from "../models/model.ts";
import type { CallDecision } from "../policy/decide-call.ts";
import type { LogEvent, NewEvent } from "../sessions/event.ts";
import type { AuditEntry } from "../sessions/log.ts";
import type { CallResult, OpenCall, SessionState, ToolCallPart } from "../sessions/state.ts";
import type { RegisteredWait } from "../sessions/waits.ts";
import type { PreparedCall, ToolResult } from "../tools/tool.ts";
import type { BudgetLimits, BudgetReached } from "./budgets.ts";
import type { RosterEntry } from "./context.ts";

/** Work for a thread: a new one with `agent`, or one that exists. */
export interface ThreadStart {
  readonly threadId: string;
  readonly agentName: string;
  /** Null: the thread exists. */
  readonly agent: RosterEntry | null;
  readonly toolUseId: string;
  readonly task: string;
  readonly budget: BudgetLimits;
}

/** All of it is one transaction. */
export interface AppendRequest {
  readonly events: readonly NewEvent[];
  readonly status?: SessionStatus;
  /** The session rests until a budget is raised. */
  readonly heldByBudget?: boolean;
  /** Append only if the log still ends here. */
  readonly onlyAt?: number;
  /** Written before any effect of these events. */
  readonly audit?: readonly AuditEntry[];
  /** Ask for another turn at once. */
  readonly wake?: boolean;
  /** Ask for turns at these instants, in milliseconds since the epoch. */
  readonly alarms?: readonly number[];
  /** Threads that these events give work to. */
  readonly threads?: readonly ThreadStart[];
  /** For the log of the session that this thread works for. */
  readonly parent?: { readonly sessionId: string; readonly events: readonly NewEvent[]; readonly wake: boolean };
  /** Calls that wait for a webhook or for another session, so that whoever brings it finds them. */
  readonly waits?: readonly RegisteredWait[];
  /** A call of this session, or of the session that this thread works for, waits for a worker. */
  readonly needsWorker?: boolean;
  /** The worker that serves this session is to end what it runs. */
  readonly stopsWorker?: boolean;
  /** Calls that wait no longer. */
  readonly endedWaits?: readonly string[];
  /**
   * These events record what has happened, and what follows them is decided from the state alone: they may be written
   * together with the next intent, which always comes before the next effect.
   */
  readonly joins?: boolean;
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
  /** `usage`: an estimate of what was used up to the interrupt; null when nothing is known. */
  | { readonly type: "interrupted"; readonly usage: ModelUsage | null };

/** What a parked call has waited for. */
export interface EndedWait extends CallResult {
  /** The webhook's delivery, so that the log says which ones the session was given. */
  readonly delivery?: string;
}

/** What a turn that begins is to record of skills. */
export interface SkillsReading {
  /** Of the skills mount. */
  readonly revision: number;
  /** All of them for a model that knows none, else what has changed. Null: it need not be told anything. */
  readonly text: string | null;
}

export interface Effects {
  /** Whose log this is: a session or a thread. */
  readonly sessionId: string;
  /** Names of the models that the agent may be answered by, the preferred one first. */
  readonly models: readonly string[];
  /** Who may be given work. */
  readonly roster: readonly RosterEntry[];
  /** What this session may use. */
  readonly budget: BudgetLimits;
  /** Milliseconds since the epoch. */
  now(): number;
  /** A number in [0, 1). */
  random(): number;
  /** Null when `onlyAt` was given and the log has grown. @throws ClaimLostError */
  append(request: AppendRequest): Promise<readonly LogEvent[] | null>;
  /** Events after `seq` that others have admitted. */
  readAfter(seq: number): Promise<readonly LogEvent[]>;
  /**
   * The skills that a turn would see that begins now.
   * @param known Revision that the model was told of; null: it was told of none.
   * @returns null when there is nothing new
   */
  readSkills(known: number | null): Promise<SkillsReading | null>;
  /** The first budget that is reached: the session's, its user's or its organization's. */
  reachedBudget(state: SessionState): Promise<BudgetReached | null>;
  /** Tokens that the model takes. */
  contextWindow(model: string): number;
  /** Micro-units of USD; zero where the model's price is not known. */
  cost(model: string, usage: ModelUsage): number;
  /** The request for the model, from what it may see. */
  describe(state: SessionState): Omit<ModelRequest, "abortSignal" | "model">;
  /** `shown`: clients see the answer as it arrives. */
  callModel(request: ModelRequest, options: { readonly shown: boolean }): Promise<ModelOutcome>;
  /** What is known of a call before it is decided; null where there is nothing to know. Only looks. */
  prepareCall(call: ToolCallPart): Promise<PreparedCall | null>;
  decideCall(call: ToolCallPart): CallDecision;
  /** Whether a worker of the session's environment runs the calls of this tool. */
  atWorker(toolName: string): boolean;
  /** @param bound As {@link PreparedCall} says. */
  callDigest(call: ToolCallPart, bound?: Readonly<Record<string, unknown>>): string;
  runTool(
    call: OpenCall,
    options: { readonly resumed: boolean; readonly abortSignal: AbortSignal },
  ): Promise<ToolResult>;
  /** Whether what a parked call waits for is there already; null while it is not. Only looks. */
  checkWait(call: OpenCall): Promise<EndedWait | null>;
  /** Stops the work of these threads. Twice with one source is once. */
  interruptThreads(threadIds: readonly string[], sourceId: string): Promise<void>;
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

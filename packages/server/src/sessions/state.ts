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
  /** A custom tool, or a tool at a worker: waits for user.custom_tool_result or user.tool_result. */
  | "awaiting_result"
  | "ready"
  /** Its start is recorded, its result is not. */
  | "started"
  /** Parked: waits for what `wait` names. */
  | "waiting"
  /** A thread works on it. */
  | "delegated"
  /** Its result is known to the log and not yet shown. */
  | "arrived"
  /** Will not run; needs its error result. */
  | "refused"
  | "settled";

/** What a parked call waits for. Instants are milliseconds since the epoch. */
export type Wait =
  | { readonly type: "instant"; readonly until: number }
  | { readonly type: "webhook"; readonly name: string; readonly until: number }
  | { readonly type: "session"; readonly sessionId: string; readonly until: number };

/** One call of the latest assistant message. */
export interface OpenCall {
  /** Identifier of the agent.tool_use or agent.custom_tool_use event. */
  readonly toolUseId: string;
  readonly callId: string;
  readonly toolName: string;
  readonly custom: boolean;
  /** A worker of the self-hosted environment runs it. */
  readonly worker: boolean;
  readonly input: Readonly<Record<string, unknown>>;
  readonly status: CallStatus;
  /** Why it was refused; becomes the error result's text. */
  readonly refusal: string | null;
  readonly result: CallResult | null;
  /** Present while `waiting`. */
  readonly wait: Wait | null;
  /** What its tool found when it was decided: the approval is for that alone. Null where it looked for nothing. */
  readonly bound: Readonly<Record<string, unknown>> | null;
  /** What whoever decides on it is shown besides its arguments. */
  readonly review: string | null;
  /** When policy decided it, in milliseconds since the epoch. */
  readonly decidedAt: number;
}

/**
 * `steer`: enters the transcript at the next checkpoint, between two calls of the model. `queue`: when the exchange that
 * runs has ended.
 */
export type Delivery = "steer" | "queue";

export type InboxEvent =
  | {
      readonly type: "message";
      readonly id: string;
      readonly content: readonly TranscriptContent[];
      readonly delivery: Delivery;
      /** An interrupt came after it: it is heard, but does not start the model again. */
      readonly stopped: boolean;
    }
  /** `alone`: threads of the session go on. */
  | { readonly type: "interrupt"; readonly id: string; readonly alone: boolean }
  | {
      readonly type: "confirmation";
      readonly id: string;
      readonly toolUseId: string;
      readonly allow: boolean;
      readonly message: string | null;
    }
  /** Of a custom tool, or of a worker. */
  | { readonly type: "custom_result"; readonly id: string; readonly toolUseId: string; readonly result: CallResult }
  | {
      readonly type: "outcome";
      readonly id: string;
      readonly outcomeId: string;
      readonly description: string;
      readonly rubric: string;
      readonly maximumIterations: number;
      readonly stopped: boolean;
    };

/** What a model call is for: the next step, a summary of the conversation, or the judgement of an outcome. */
export type ModelPurpose = "step" | "compaction" | "evaluation";

/** Consecutive failed attempts of the model call that is due. */
export interface ModelFailure {
  readonly purpose: ModelPurpose;
  /** One for each attempt, oldest first. */
  readonly kinds: readonly ModelErrorKind[];
  readonly retryable: boolean;
  /** Milliseconds since the epoch; the next attempt is not made before. */
  readonly retryAt: number;
}

/** Sums over the log. A provider's estimate counts like its figures. */
export interface Usage {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** Micro-units of USD, as recorded when each call ended; zero for models without a price. */
  readonly costMicros: number;
  /** Model calls and tool calls. */
  readonly steps: number;
  /** Milliseconds in status running, closed spans only. */
  readonly runningMs: number;
  /** When the open span began, in milliseconds since the epoch; null unless running. */
  readonly runningSince: number | null;
  readonly sandboxAwakeMs: number;
}

/** A sub-agent of this session: a session of its own, a thread of the API. */
export interface ThreadState {
  readonly threadId: string;
  readonly agentName: string;
  /** The call that it works on, or worked on last. */
  readonly toolUseId: string;
  readonly status: "running" | "rescheduling" | "idle" | "terminated";
  /** Events of the thread that wait for somebody's answer. */
  readonly blockedOn: readonly string[];
}

/** What the session was asked to reach. */
export interface OutcomeState {
  readonly outcomeId: string;
  readonly description: string;
  readonly rubric: string;
  readonly maximumIterations: number;
  /** Evaluations that have ended. */
  readonly iteration: number;
  /** `acknowledging`: no further evaluation; the model has its last word. */
  readonly status: "working" | "acknowledging";
}

/** Where this session's work comes from, when it is a thread. */
export interface Delegation {
  readonly parentId: string;
  /** The parent's call that this thread works on. */
  readonly toolUseId: string;
  readonly agentName: string;
  /** What the thread had used when it was given this work. */
  readonly usageBefore: Usage;
  /** Its result was told: the parent expects no other. */
  readonly settled: boolean;
}

/** How large the transcript is, as the model's provider counted it last. */
export interface ContextSize {
  /** Tokens of the last step's input and output. */
  readonly tokens: number;
  /** Messages of the transcript that `tokens` covers; what follows is estimated. */
  readonly messages: number;
}

/** The skills of the present turn. */
export interface SkillsShown {
  /** Of the skills mount, fixed when the turn began. */
  readonly revision: number;
  /** At the head of what the model sees; null where it was told of skills later, in the transcript. */
  readonly listing: string | null;
}

export interface SessionState {
  /** Number of the last event reduced. */
  readonly seq: number;
  readonly status: "idle" | "running" | "rescheduling" | "terminated";
  /** What the last rest was said to wait for. */
  readonly askedFor: readonly string[];
  /** What the model sees. Grows only at its tail, until a compaction replaces its head. */
  readonly transcript: readonly TranscriptMessage[];
  /** Admitted, not consumed. */
  readonly inbox: readonly InboxEvent[];
  /** A model call whose start is recorded and whose end is not. */
  readonly modelCall: { readonly startId: string; readonly purpose: ModelPurpose } | null;
  readonly modelFailure: ModelFailure | null;
  /** Calls of the latest assistant message that policy has not decided. */
  readonly undecided: readonly ToolCallPart[];
  readonly calls: readonly OpenCall[];
  /** Set by an interrupt or a refusal, cleared by the next message: the model is not called until then. */
  readonly halted: "interrupted" | "refusal" | "retries_exhausted" | null;
  readonly usage: Usage;
  readonly context: ContextSize;
  /** Compactions since the model last answered: a second one in a row cannot help. */
  readonly compactionsInARow: number;
  readonly threads: readonly ThreadState[];
  readonly outcome: OutcomeState | null;
  /** The evaluation whose start is recorded and whose end is not. */
  readonly evaluation: { readonly startId: string; readonly iteration: number } | null;
  readonly delegation: Delegation | null;
  /** Null: no turn has seen any skill. */
  readonly skills: SkillsShown | null;
  /** The model has seen what nobody vouches for; never false again. */
  readonly untrusted: boolean;
}

const noUsage: Usage = {
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
  costMicros: 0,
  steps: 0,
  runningMs: 0,
  runningSince: null,
  sandboxAwakeMs: 0,
};

export const initialState: SessionState = {
  seq: 0,
  status: "idle",
  askedFor: [],
  transcript: [],
  inbox: [],
  modelCall: null,
  modelFailure: null,
  undecided: [],
  calls: [],
  halted: null,
  usage: noUsage,
  context: { tokens: 0, messages: 0 },
  compactionsInARow: 0,
  threads: [],
  outcome: null,
  evaluation: null,
  delegation: null,
  skills: null,
  untrusted: false,
};

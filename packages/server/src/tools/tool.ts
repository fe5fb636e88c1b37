/** A built-in tool: what the model sees of it, and how it runs. @module */
import type { RoutedFiles } from "../files/router.ts";
import type { FileActor } from "../files/store.ts";
import type { FileUse } from "../policy/file-rules.ts";
import type { TranscriptContent, ToolDefinition } from "../models/model.ts";

/**
 * What happens to a call whose start was recorded and whose result was not.
 * `safe`: it runs again. `reattach`: it is joined where it still runs, else settled as interrupted.
 * `never`: settled as interrupted, outcome unknown.
 */
export type ReplayRule = "safe" | "reattach" | "never";

/** What a command left behind, as the tool reports it to the model. */
export interface CommandOutcome {
  readonly output: string;
  readonly truncated: boolean;
  readonly exit:
    | { readonly type: "exited"; readonly code: number }
    | { readonly type: "signalled"; readonly signal: number }
    | { readonly type: "timed_out" }
    | { readonly type: "unknown"; readonly reason: string }
    | { readonly type: "interrupted" };
  /** Blocks that precede the output: `<sandbox_replaced>`, `<files_sync>`. */
  readonly notices: readonly string[];
  /** How long the command kept the sandbox awake, in milliseconds. */
  readonly awakeMs: number;
}

/** Commands in the session's sandbox. Wakes, projects, runs, captures, suspends and snapshots around each one. */
export interface CommandRunner {
  run(request: {
    readonly commandId: string;
    readonly command: string;
    readonly timeoutMs: number;
    readonly abortSignal: AbortSignal;
    /** Join a command that an earlier driver started, instead of starting it. */
    readonly reattach: boolean;
    /** False: a person asked. What the model is to be told of the sandbox still waits for a command of its own. */
    readonly toldToModel?: boolean;
  }): Promise<CommandOutcome>;
}

/** What is known of a command in the background. */
export interface BackgroundSummary {
  readonly commandId: string;
  readonly command: string;
  /** As the sandbox room tells it: running, suspended because its time was up, ended, or lost with its sandbox. */
  readonly state: "running" | "suspended" | "ended" | "lost";
  /** Until when it keeps the sandbox awake. */
  readonly until: Date;
  readonly exit: Exclude<CommandOutcome["exit"], { readonly type: "interrupted" }> | null;
  /** Bytes that it has written. */
  readonly outputBytes: number;
}

/** Output of a command in the background, and how it stands. */
export interface BackgroundOutput extends BackgroundSummary {
  readonly text: string;
  /** Of the first byte shown. Later than asked for where what was before is not shown. */
  readonly offset: number;
  readonly nextOffset: number;
  /** Where the reader was before: what lies between this and `offset` is left out. */
  readonly readFrom: number;
}

/** Commands in the background of the session's sandbox. None of these wakes it but `start`. */
export interface BackgroundCommands {
  /** Resolves when it has begun. The same identifier again, with `reattach`, is the same command. */
  start(request: {
    readonly commandId: string;
    readonly command: string;
    readonly seconds?: number;
    readonly reattach: boolean;
  }): Promise<
    { readonly notices: readonly string[]; readonly awakeMs: number } & (
      | { readonly type: "started"; readonly until: Date }
      | { readonly type: "unknown"; readonly reason: string }
    )
  >;
  /** Oldest first. */
  list(): Promise<readonly BackgroundSummary[]>;
  /**
   * What is new since the last reading without an offset; with one, what begins there, and nothing is taken for read.
   * The same `readingId` again reads from where it did. Null when there is no such command.
   */
  read(request: {
    readonly readingId: string;
    readonly commandId: string;
    readonly offset?: number;
  }): Promise<BackgroundOutput | null>;
  /** False when it has ended; null when there is no such command. */
  kill(commandId: string): Promise<boolean | null>;
}

export interface ToolContext {
  /** Identifier of the agent.tool_use event; also the command's identifier. */
  readonly toolUseId: string;
  readonly actor: FileActor;
  /** The router: every path the model may name. */
  readonly files: RoutedFiles;
  readonly commands: CommandRunner;
  readonly background: BackgroundCommands;
  readonly abortSignal: AbortSignal;
  /** What the call was bound to when it was decided; absent where its tool prepares nothing. */
  readonly approved?: Readonly<Record<string, unknown>>;
  /** Where a file of shared memory comes from, in one line; null for any other. */
  readonly describeOrigin?: (path: string) => Promise<string | null>;
  /** Whether this call has been given anything so far that nobody vouches for. */
  readonly hasReadUntrusted?: () => boolean;
  /** True when an earlier driver recorded the start of this very call. */
  readonly resumed: boolean;
}

/** What is known of a call before anybody decides on it. */
export type PreparedCall =
  | {
      /** The approval is for a call with this, and for no other: it is in its digest, and in the call when it runs. */
      readonly bound: Readonly<Record<string, unknown>>;
      /** What whoever decides is shown: what will change. */
      readonly review: string;
    }
  /** It cannot run: one sentence for the model. */
  | { readonly refusal: string };

export interface ToolResult {
  readonly content: readonly TranscriptContent[];
  readonly isError: boolean;
  /** How long the call kept a sandbox awake, in milliseconds; absent where it used none. */
  readonly sandboxAwakeMs?: number;
  /** The call was given what nobody vouches for. */
  readonly untrusted?: boolean;
}

export interface Tool {
  readonly definition: ToolDefinition;
  /** Other names that models call it by; they are not shown. */
  readonly aliases?: readonly string[];
  readonly replay: ReplayRule;
  /** Calls that only read may run beside others. */
  readonly parallel: boolean;
  /** The files that a call with this input would read or write, by their names here; `*` where that depends on the session. */
  readonly uses?: (input: Readonly<Record<string, unknown>>) => readonly FileUse[];
  /** It runs commands: the sandbox is woken as soon as the model's stream opens such a call. */
  readonly wakesSandbox?: boolean;
  /** A person decides on every call, whatever the agent's policy allows. */
  readonly alwaysAsks?: boolean;
  /** Looks at what the call is about, before it is decided. Changes nothing. */
  prepare?(input: Readonly<Record<string, unknown>>, context: ToolContext): Promise<PreparedCall>;
  /**
   * Never rejects for what the model did wrong: that is an error result. Rejects only for faults of ours.
   * `input` has been validated against the definition's schema by the registry.
   */
  run(input: Readonly<Record<string, unknown>>, context: ToolContext): Promise<ToolResult>;
}

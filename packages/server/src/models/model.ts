/**
 * What the loop knows of a model: a transcript goes in, a stream of parts comes out, one step per call. Adapters turn
 * this into a provider's wire protocol; retries, tools and memory are the loop's.
 * @module
 */

export type TranscriptContent =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly mediaType: string; readonly base64: string }
  /** A PDF; `text` stands for it where a model takes no documents. */
  | { readonly type: "document"; readonly mediaType: string; readonly base64: string; readonly text: string };

/** Opaque data that a provider wants back unchanged (signatures of thinking, item ids), keyed by provider. */
export type ProviderData = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export type AssistantPart =
  | { readonly type: "text"; readonly text: string; readonly providerData?: ProviderData }
  | { readonly type: "thinking"; readonly text: string; readonly providerData?: ProviderData }
  | {
      readonly type: "tool_call";
      /** The model's own identifier of the call. */
      readonly callId: string;
      readonly toolName: string;
      /** Parsed arguments. Null when they were not a JSON object: `malformed` then holds the text. */
      readonly input: Readonly<Record<string, unknown>> | null;
      readonly malformed?: string;
      readonly providerData?: ProviderData;
    };

export type TranscriptMessage =
  | { readonly role: "user"; readonly content: readonly TranscriptContent[] }
  | { readonly role: "assistant"; readonly content: readonly AssistantPart[] }
  | {
      readonly role: "tool";
      readonly results: readonly {
        readonly callId: string;
        readonly toolName: string;
        /** The session's own identifier of the call; absent in conversations that are no session's. */
        readonly toolUseId?: string;
        readonly content: readonly TranscriptContent[];
        readonly isError: boolean;
      }[];
    };

export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments; an object. */
  readonly inputSchema: Readonly<Record<string, unknown>>;
}

export interface ModelRequest {
  /** As the agent names it: `claude-…`, `openai/gpt-…`, `scripted/…`. */
  readonly model: string;
  readonly effort?: string;
  readonly system: string;
  readonly messages: readonly TranscriptMessage[];
  readonly tools: readonly ToolDefinition[];
  readonly abortSignal: AbortSignal;
}

/** Tokens. `input` counts all input, cached or not; `cacheRead` and `cacheWrite` are parts of it. */
export interface ModelUsage {
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** True where the provider sent no figures and these were estimated. */
  readonly estimated: boolean;
}

export type FinishReason = "stop" | "tool_calls" | "length" | "refusal" | "other";

/** Parts in order of arrival. Exactly one `finish`, last; a failure rejects the iteration with a {@link ModelError}. */
export type ModelStreamPart =
  | { readonly type: "text_start" }
  | { readonly type: "text_delta"; readonly text: string }
  | { readonly type: "text_end" }
  | { readonly type: "thinking_start" }
  | { readonly type: "thinking_end" }
  /** The stream has opened a call: its sandbox can be woken before its arguments are complete. */
  | { readonly type: "tool_call_start"; readonly toolName: string }
  | {
      readonly type: "finish";
      readonly content: readonly AssistantPart[];
      readonly usage: ModelUsage;
      readonly finishReason: FinishReason;
    };

/** Something arrived that nobody is told of: a ping, a piece of a thought or of a call's arguments. */
export interface SignOfLife {
  readonly type: "sign_of_life";
  /** How much of the answer it was. */
  readonly characters: number;
}

export type ModelErrorKind =
  /** 429. */
  | "rate_limited"
  /** 529 or 503. */
  | "overloaded"
  /** Connection refused or cut, 5xx, time-out. */
  | "unavailable"
  /** 400-class: asking again changes nothing. */
  | "rejected"
  | "unauthenticated"
  | "context_overflow"
  | "aborted"
  /** No such model, or its provider has no key configured. */
  | "not_configured";

/** A model call failed. `message` is safe to show: it holds no key and no request body. */
export class ModelError extends Error {
  override readonly name = "ModelError";
  readonly kind: ModelErrorKind;
  /** The provider's Retry-After, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** What the attempt used, estimated: nothing where it was refused unread. Undefined before the registry has seen it. */
  readonly usage: ModelUsage | undefined;
  constructor(kind: ModelErrorKind, message: string, retryAfterMs?: number, usage?: ModelUsage) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
    this.usage = usage;
  }
  get retryable(): boolean {
    return this.kind === "rate_limited" || this.kind === "overloaded" || this.kind === "unavailable";
  }
}

/** All models of an installation. Bounds every silence, and tells with every failure what it used. */
export interface ModelProvider {
  /** Whether this provider serves the model of this name. */
  serves(model: string): boolean;
  /** Model names that it offers, for the API's list and for completion; may be incomplete. */
  list(): readonly { readonly id: string; readonly displayName: string }[];
  stream(request: ModelRequest): AsyncIterable<ModelStreamPart>;
}

/** The models behind one protocol. Knows no limits of time: the registry watches its stream. */
export interface ModelAdapter extends Omit<ModelProvider, "stream"> {
  stream(request: ModelRequest): AsyncIterable<ModelStreamPart | SignOfLife>;
}

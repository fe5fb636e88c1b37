/**
 * Every way a provider says no, as one {@link ModelError}. A message names the provider, the HTTP status and the
 * provider's own error code, never its text: providers quote keys and requests in theirs.
 * @module
 */
import {
  APICallError,
  InvalidArgumentError,
  InvalidPromptError,
  LoadAPIKeyError,
  UnsupportedFunctionalityError,
} from "@ai-sdk/provider";
import { ModelError, type ModelErrorKind } from "./model.ts";

/** Whom a failure is blamed on. */
export interface ModelSource {
  /** `Anthropic`, `OpenAI`, `The server at OPENAI_BASE_URL`: begins a sentence. */
  readonly label: string;
  /** The environment variable that holds its key. */
  readonly keyVariable: string;
  readonly modelId: string;
}

interface Failure {
  readonly status: number | undefined;
  /** The provider's words for the kind of error: its type and its code. */
  readonly codes: readonly string[];
  /** Only ever matched against, never shown. */
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The system's code of a failed connection: ECONNREFUSED. */
  readonly connection: string | undefined;
}

const longestRetryAfterMs = 24 * 60 * 60 * 1000;

/** @example throw toModelError(error, { label: "Anthropic", keyVariable: "ANTHROPIC_API_KEY", modelId: "claude-x" }) */
export function toModelError(error: unknown, source: ModelSource): ModelError {
  if (error instanceof ModelError) return error;
  if (LoadAPIKeyError.isInstance(error)) {
    return new ModelError("not_configured", `${source.label} has no key: set ${source.keyVariable}.`);
  }
  if (UnsupportedFunctionalityError.isInstance(error)) {
    return new ModelError("rejected", `${source.label} cannot take this request: it does not support a part of it.`);
  }
  if (InvalidPromptError.isInstance(error) || InvalidArgumentError.isInstance(error)) {
    return new ModelError("rejected", `The request to ${source.modelId} is not valid.`);
  }
  const failure = readFailure(error);
  const kind = failureKind(failure);
  return new ModelError(kind, describeFailure(kind, failure, source), retryAfter(failure.headers, Date.now()));
}

function failureKind({ status, codes, text, connection }: Failure): ModelErrorKind {
  const says = (pattern: RegExp) => codes.some((code) => pattern.test(code));
  const overflow =
    says(/context_length|context_size|context_window|max_prompt_tokens|request_too_large/) ||
    (isRefusal(status) && overflowText.test(text));
  if (overflow || status === 413) return "context_overflow";
  if (says(/insufficient_quota|billing/)) return "rejected";
  if (status === 401 || status === 403 || says(/authentication|permission|invalid_api_key/)) return "unauthenticated";
  if (status === 429 || (status === undefined && says(/rate_limit/))) return "rate_limited";
  if (status === 529 || status === 503 || says(/overloaded/)) return "overloaded";
  if (connection !== undefined || status === undefined) return "unavailable";
  // A time-out and a lost race for a lock: the same request may succeed.
  if (status === 408 || status === 409) return "unavailable";
  return status >= 400 && status < 500 ? "rejected" : "unavailable";
}

/** Statuses that are seen with a text about a too long context; undefined for an error in the middle of a stream. */
function isRefusal(status: number | undefined): boolean {
  return status === undefined || status === 400 || status === 422 || status === 500;
}

/** Anthropic, OpenAI, vLLM, llama.cpp, Ollama, and what gateways have in front of them. */
const overflowText = new RegExp(
  [
    "prompt is too long",
    "input is too long",
    "context (?:length|window|size|limit)",
    "exceeds? the (?:model's )?context",
    "maximum (?:allowed )?(?:prompt|input) length",
    "input token count.{0,40}exceeds",
    "token count of \\d+ exceeds the limit",
    "exceeded model token limit",
    "reduce the length of the (?:messages|input|prompt)",
  ].join("|"),
  "i",
);

function describeFailure(kind: ModelErrorKind, { status, codes, connection }: Failure, source: ModelSource): string {
  const facts = [status === undefined ? null : `HTTP ${status}`, codes[0] ?? null, connection ?? null];
  const known = facts.filter((fact) => fact !== null).join(", ");
  const reason = known === "" ? "" : ` (${known})`;
  switch (kind) {
    case "rate_limited":
      return `${source.label} limits the rate of requests${reason}.`;
    case "overloaded":
      return `${source.label} is overloaded${reason}.`;
    case "unauthenticated":
      return `${source.label} refused the key${reason}. Check ${source.keyVariable}.`;
    case "context_overflow":
      return `The conversation is longer than ${source.modelId} can take${reason}.`;
    case "rejected":
      if (status === 404) return `${source.label} has no model ${JSON.stringify(source.modelId)}${reason}.`;
      return `${source.label} rejected the request${reason}.`;
    default:
      return status === undefined
        ? `The connection to ${source.label} failed${reason}.`
        : `${source.label} failed${reason}.`;
  }
}

function readFailure(error: unknown): Failure {
  const call = APICallError.isInstance(error) ? error : null;
  const frame = isRecord(error) ? error : {};
  const bodies = [call === null ? frame.data : call.data, call === null ? null : parseJson(call.responseBody), frame];
  const reports = bodies.flatMap(nestedReports);
  const codes = reports.flatMap((report) => [report.code, report.type]).flatMap(asCode);
  const numeric = reports.map((report) => Number(report.code)).find((code) => code >= 400 && code <= 599);
  const status = call === null ? (asStatus(frame.statusCode) ?? numeric) : call.statusCode;
  const text = [...reports.map((report) => report.message), call?.responseBody].filter(
    (part) => typeof part === "string",
  );
  return {
    status,
    codes: [...new Set(codes)],
    text: text.join("\n").slice(0, 20_000),
    headers: call?.responseHeaders ?? {},
    connection: status === undefined ? connectionCode(error) : undefined,
  };
}

/** Providers nest what they report: `{error: {…}}`, `{response: {error: {…}}}`, or nothing around it. */
function nestedReports(body: unknown): readonly Record<string, unknown>[] {
  if (!isRecord(body)) return [];
  const inner = isRecord(body.response) ? body.response.error : body.error;
  return isRecord(inner) ? [inner] : [body];
}

/** Codes are identifiers. Anything else is text of the provider's, and stays out of messages. */
function asCode(value: unknown): readonly string[] {
  if (typeof value !== "string" || value === "error") return [];
  return /^[a-z][a-z0-9_.-]{1,59}$/.test(value) ? [value] : [];
}

function asStatus(value: unknown): number | undefined {
  return typeof value === "number" && value >= 400 && value <= 599 ? value : undefined;
}

function connectionCode(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < 5 && isRecord(current); depth++) {
    if (typeof current.code === "string" && /^[A-Z][A-Z0-9_]{2,40}$/.test(current.code)) return current.code;
    current = current.cause;
  }
  return undefined;
}

/**
 * Milliseconds from `retry-after-ms`, or from `retry-after` as seconds or as an HTTP date (RFC 9110 §10.2.3).
 * @example retryAfter({ "retry-after": "2" }, Date.now()) // 2000
 */
export function retryAfter(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const milliseconds = Number(headers["retry-after-ms"] ?? Number.NaN);
  if (Number.isFinite(milliseconds)) return boundedDelay(milliseconds);
  const value = headers["retry-after"]?.trim() ?? "";
  if (value === "") return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return boundedDelay(seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : boundedDelay(date - now);
}

function boundedDelay(milliseconds: number): number {
  return Math.min(longestRetryAfterMs, Math.max(0, Math.round(milliseconds)));
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined || text.length > 1_000_000) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Follows a session. The connection may break as often as it likes: every durable event is yielded exactly once and in
 * order, because each attempt tells the server the number of the last one.
 * @module
 */
import type { Preview, PreviewType } from "@exoloop/protocol/previews";
import type { SessionEvent } from "@exoloop/protocol/session-events";
import { ApiError, readApiError } from "./api-error.ts";
import { type Frame, decodeFrames } from "./frame-decoder.ts";
import { type Transport, segment } from "./transport.ts";

/** Told apart by `type`. */
export type StreamItem = SessionEvent | Preview;

export interface StreamOptions {
  /** Number of the last event that is already known; 0 begins at the beginning, absent begins with what happens next. */
  readonly afterSeq?: number;
  readonly previews?: readonly PreviewType[];
  readonly signal?: AbortSignal;
  /** Called when the connection broke and is tried again. */
  readonly onReconnect?: (attempt: number) => void;
  /** Called once the server has taken the stream: what happens from now on will be yielded. */
  readonly onOpen?: () => void;
}

const firstDelay = 250;
const maximumDelay = 8_000;
/** The server gives a sign of life every 15 seconds. */
const silenceMilliseconds = 45_000;
const previewTypes = new Set(["event_start", "event_delta", "x_exoloop.sandbox_status"]);

/** What is followed: a session, or one of its threads. */
export interface StreamTarget {
  readonly path: string;
  /** Events after which nothing follows. */
  readonly endTypes: ReadonlySet<string>;
}

export function sessionTarget(sessionId: string): StreamTarget {
  return {
    path: `/v1/sessions/${segment(sessionId)}/events/stream`,
    endTypes: new Set(["session.status_terminated", "session.deleted"]),
  };
}

export function threadTarget(sessionId: string, threadId: string): StreamTarget {
  return {
    path: `/v1/sessions/${segment(sessionId)}/threads/${segment(threadId)}/stream`,
    endTypes: new Set(["session.thread_status_terminated", "session.deleted"]),
  };
}

interface Position {
  seq: number | null;
}

/**
 * Ends when the session ends, when `signal` aborts, or when the loop is left.
 * @throws ApiError when the server refuses: the session is unknown, the key is wrong
 */
export async function* streamEvents(
  transport: Transport,
  target: StreamTarget,
  options: StreamOptions = {},
): AsyncGenerator<StreamItem, void> {
  const position: Position = { seq: options.afterSeq ?? null };
  let failures = 0;
  while (!isAborted(options)) {
    const connection = new AbortController();
    const abort = () => connection.abort();
    options.signal?.addEventListener("abort", abort);
    try {
      for await (const item of connect(transport, target, options, position, connection)) {
        failures = 0;
        if (item === "open") continue;
        yield item;
        if (target.endTypes.has(item.type)) return;
      }
      if (isOver(position)) return;
    } catch (error) {
      if (isAborted(options)) return;
      if (error instanceof ApiError && isFinal(error)) throw error;
    } finally {
      options.signal?.removeEventListener("abort", abort);
      connection.abort();
    }
    failures += 1;
    if (!(await pause(failures, options.signal))) return;
    options.onReconnect?.(failures);
  }
}

function isAborted(options: StreamOptions): boolean {
  return options.signal?.aborted ?? false;
}

function isFinal(error: ApiError): boolean {
  return error.status >= 400 && error.status < 500 && ![408, 409, 429].includes(error.status);
}

const over = -1;

function isOver(position: Position): boolean {
  return position.seq === over;
}

async function* connect(
  transport: Transport,
  target: StreamTarget,
  options: StreamOptions,
  position: Position,
  connection: AbortController,
): AsyncGenerator<StreamItem | "open"> {
  let silence = setTimeout(() => connection.abort(), silenceMilliseconds);
  try {
    const response = await transport.send("GET", target.path, {
      query: { event_deltas: options.previews ?? [] },
      headers: {
        accept: "text/event-stream",
        ...(position.seq === null ? {} : { "last-event-id": String(position.seq) }),
      },
      signal: connection.signal,
    });
    if (!response.ok) throw await readApiError(response);
    if (response.body === null) return;
    options.onOpen?.();
    for await (const frame of decodeFrames(response.body)) {
      clearTimeout(silence);
      silence = setTimeout(() => connection.abort(), silenceMilliseconds);
      yield readFrame(frame, position, target.endTypes) ?? "open";
      if (isOver(position)) return;
    }
  } finally {
    clearTimeout(silence);
  }
}

/** Null for what is not to be yielded: signs of life, and events that were yielded before. Moves the position. */
function readFrame(frame: Frame, position: Position, endTypes: ReadonlySet<string>): StreamItem | null {
  const seq = frame.id !== undefined && /^\d+$/.test(frame.id) ? Number(frame.id) : null;
  if (frame.data === "") {
    // The opening: it says where a stream without a beginning begins.
    if (seq !== null) position.seq ??= seq;
    return null;
  }
  if (frame.type === "ping") return null;
  if (previewTypes.has(frame.type)) return JSON.parse(frame.data) as Preview;
  if (seq !== null) {
    const repeated = position.seq !== null && seq <= position.seq;
    // The end is told again to whoever comes back after it.
    if (repeated && endTypes.has(frame.type)) position.seq = over;
    if (repeated) return null;
    position.seq = seq;
  }
  return JSON.parse(frame.data) as SessionEvent;
}

/** Waits before the next attempt, a little longer each time. False when the signal aborted. */
function pause(failures: number, signal: AbortSignal | undefined): Promise<boolean> {
  const longest = Math.min(firstDelay * 2 ** Math.min(failures - 1, 10), maximumDelay);
  // Clients of a server that restarted should not all come back in the same instant.
  const delay = longest * (0.5 + Math.random() / 2);
  return new Promise((resolve) => {
    const finish = (go: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      resolve(go);
    };
    const abort = () => finish(false);
    const timer = setTimeout(() => finish(true), delay);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted === true) finish(false);
  });
}

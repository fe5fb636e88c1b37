/**
 * A session's events as they happen: each durable event once and in order, previews between them.
 *
 * Order of things: subscribe, then read the log's head, then look. What is appended before the subscription is found by
 * looking, what is appended after it gives a notice, so nothing falls between. A notice only says "look"; where one is
 * lost, the look that goes with every ping finds the event. The log is the buffer: a client that reads slowly is read
 * for slowly, and one that does not read at all is hung up on and comes back with Last-Event-ID.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";
import type { PreviewType } from "@exoloop/protocol/previews";
import type { SessionEvent } from "@exoloop/protocol/session-events";
import { Problem } from "../errors.ts";
import type { Notice, NoticeBoard, PreviewFrame } from "../sessions/notices.ts";
import type { Logger } from "../telemetry/logger.ts";
import { writeEvent } from "./event-answer.ts";
import type { EventQuery, LogHead, Principal, SessionService, StoredEvent } from "../sessions/port.ts";
import { encodeFrame, encodeOpening, encodePing } from "./sse.ts";
import { type StreamInbox, type StreamItem, createStreamInbox } from "./stream-inbox.ts";

export interface EventStreamDependencies {
  readonly notices: NoticeBoard;
  readonly log: Logger;
  /** 15 seconds unless a test is in a hurry. */
  readonly pingMilliseconds?: number;
}

/** The log that a stream follows: a session's, or a thread's. */
export interface StreamSource {
  /** Whose notices tell of it. */
  readonly logId: string;
  /** @throws Problem `not_found` */
  head(): Promise<LogHead>;
  /** @throws Problem `not_found` */
  events(query: EventQuery): Promise<readonly StoredEvent[]>;
  write(event: StoredEvent): SessionEvent;
}

export function sessionSource(sessions: SessionService, principal: Principal, sessionId: string): StreamSource {
  return {
    logId: sessionId,
    head: () => sessions.head(principal, sessionId),
    events: (query) => sessions.events(principal, sessionId, query),
    write: writeEvent,
  };
}

export interface StreamRequest {
  readonly source: StreamSource;
  /** Number of the last event that the client has; null starts with what happens next. */
  readonly after: number | null;
  readonly previews: ReadonlySet<PreviewType>;
  readonly signal: AbortSignal;
  /** Ends the connection of a client that does not read. */
  readonly hangUp: () => void;
  /** Whether the caller's key has been revoked; asked with every ping. */
  readonly isRevoked: () => Promise<boolean>;
}

export interface EventStreams {
  /** @throws Problem `not_found`, `invalid_cursor`, `session_archived` */
  open(request: StreamRequest): Promise<ReadableStream<Uint8Array>>;
  /** Ends every stream, as the server stops. */
  closeAll(): void;
}

interface Stream extends StreamRequest {
  readonly inbox: StreamInbox;
  /** Number of the last event that was sent or skipped. */
  cursor: number;
  /** Messages whose start was shown and whose event was not: only their deltas make sense to this client. */
  readonly previewed: Set<string>;
  /** The last messages whose event was sent: a notice of their start may still be on its way. */
  readonly settled: Set<string>;
  readonly close: () => void;
}

const batchSize = 200;
const inboxCapacity = 512;
const bufferedBytes = 64 * 1024;
const maximumPreviewed = 64;
const defaultPingMilliseconds = 15_000;

export function createEventStreams(dependencies: EventStreamDependencies): EventStreams {
  const open = new Set<Stream>();
  return {
    async open(request) {
      const stream = subscribe(dependencies, request, open);
      try {
        const first = await start(stream);
        return readable(stream, frames(stream, first), dependencies.log);
      } catch (error) {
        stream.close();
        throw error;
      }
    },
    closeAll() {
      for (const stream of open) stream.close();
    },
  };
}

function subscribe(dependencies: EventStreamDependencies, request: StreamRequest, open: Set<Stream>): Stream {
  const inbox = createStreamInbox(inboxCapacity);
  const hangUp = () => {
    stream.close();
    request.hangUp();
  };
  const unsubscribe = dependencies.notices.subscribe(request.source.logId, (notice) => {
    const item = toItem(stream, notice);
    if (item !== null && !inbox.push(item)) hangUp();
  });
  const ping = setInterval(() => {
    // The last ping is still here: nothing has been read for a whole interval.
    if (inbox.has("ping")) hangUp();
    inbox.push({ type: "look" });
    inbox.push({ type: "ping" });
  }, dependencies.pingMilliseconds ?? defaultPingMilliseconds);
  const close = () => {
    if (!open.delete(stream)) return;
    clearInterval(ping);
    unsubscribe();
    inbox.close();
    request.signal.removeEventListener("abort", close);
  };
  const stream: Stream = { ...request, inbox, cursor: 0, previewed: new Set(), settled: new Set(), close };
  request.signal.addEventListener("abort", close);
  open.add(stream);
  if (request.signal.aborted) close();
  return stream;
}

function toItem(stream: Stream, notice: Notice): StreamItem | null {
  if (notice.type === "deleted") return { type: "deleted" };
  if (notice.type === "frame") return wantsFrame(stream, notice.frame) ? { type: "frame", frame: notice.frame } : null;
  return notice.seq === 0 || notice.seq > stream.cursor ? { type: "look" } : null;
}

function wantsFrame(stream: Stream, frame: PreviewFrame): boolean {
  if (frame.type === "event_start") return stream.previews.has(frame.event.type);
  if (frame.type === "event_delta") return stream.previews.has("agent.message");
  return stream.previews.has(frame.type);
}

/** Reads the head and settles where the stream begins. An ended session has only its end to tell. */
async function start(stream: Stream): Promise<StoredEvent | null> {
  const head = await stream.source.head();
  if (stream.after !== null && stream.after > head.seq) {
    throw new Problem(
      "invalid_cursor",
      `Last-Event-ID: the session has no event ${stream.after}; its last is ${head.seq}.`,
      "Send the id of an event of this very session, or leave it out.",
    );
  }
  stream.cursor = stream.after ?? head.seq;
  stream.inbox.push({ type: "look" });
  if (head.status !== "terminated" && !head.archived) return null;
  // A client that missed the end would wait for it for ever: it is told again, whenever it attaches.
  const [end] = await stream.source.events({
    order: "desc",
    limit: 1,
    types: ["session.status_terminated"],
  });
  if (end !== undefined && end.seq <= stream.cursor) return end;
  if (end === undefined && stream.after === null) {
    throw new Problem(
      "session_archived",
      "The session is archived: nothing more will happen in it.",
      "Read its events with GET /v1/sessions/{id}/events.",
    );
  }
  return null;
}

async function* frames(stream: Stream, end: StoredEvent | null): AsyncGenerator<Uint8Array> {
  yield encodeOpening(stream.cursor);
  if (end !== null) {
    yield encodeEvent(stream, end);
    return;
  }
  for (let item = await stream.inbox.next(); item !== null; item = await stream.inbox.next()) {
    if (item.type === "ping") {
      if (await stream.isRevoked()) return;
      yield encodePing();
    }
    if (item.type === "frame" && admitPreview(stream, item.frame)) yield encodeFrame(item.frame.type, item.frame);
    if (item.type === "deleted" || item.type === "look") {
      const over = yield* look(stream);
      if (over || item.type === "deleted") return;
    }
  }
}

/** Sends what the log has beyond the cursor. Returns true when there will be no more. */
async function* look(stream: Stream): AsyncGenerator<Uint8Array, boolean> {
  for (;;) {
    const batch = await readBatch(stream);
    if (batch === null) {
      const event = { id: createId("event"), type: "session.deleted", processed_at: new Date().toISOString() };
      yield encodeFrame(event.type, event);
      return true;
    }
    for (const event of batch) {
      stream.cursor = event.seq;
      stream.previewed.delete(event.id);
      if (event.type === "agent.message" || event.type === "agent.thinking") remember(stream.settled, event.id);
      yield encodeEvent(stream, event);
      if (event.type === "session.status_terminated" || event.type === "session.deleted") return true;
    }
    if (batch.length < batchSize) return false;
  }
}

function encodeEvent({ source }: Stream, event: StoredEvent): Uint8Array {
  const written = source.write(event);
  return encodeFrame(written.type, written, event.seq);
}

/** Null when the session is gone. */
async function readBatch({ source, cursor }: Stream): Promise<readonly StoredEvent[] | null> {
  try {
    return await source.events({ after: cursor, order: "asc", limit: batchSize });
  } catch (error) {
    if (error instanceof Problem && error.code === "not_found") return null;
    throw error;
  }
}

/** A delta whose beginning this client has not seen, or whose event it already has, would only confuse it. */
function admitPreview(stream: Stream, frame: PreviewFrame): boolean {
  if (frame.type === "event_delta") return stream.previewed.has(frame.event_id);
  if (frame.type !== "event_start") return true;
  if (stream.settled.has(frame.event.id)) return false;
  remember(stream.previewed, frame.event.id);
  return true;
}

/** Forgets the oldest when there are too many. */
function remember(ids: Set<string>, id: string): void {
  ids.add(id);
  const [oldest] = ids;
  if (ids.size > maximumPreviewed && oldest !== undefined) ids.delete(oldest);
}

function readable(stream: Stream, source: AsyncGenerator<Uint8Array>, log: Logger): ReadableStream<Uint8Array> {
  let cancelled = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let next: IteratorResult<Uint8Array, unknown> = { done: true, value: undefined };
        try {
          next = await source.next();
        } catch (error) {
          // The headers have left: closing tells the client to come back.
          log.error({ session: stream.source.logId, error }, "event stream failed");
        }
        if (cancelled) return;
        if (next.done !== true) return controller.enqueue(next.value);
        stream.close();
        controller.close();
      },
      cancel() {
        cancelled = true;
        stream.close();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: bufferedBytes }),
  );
}

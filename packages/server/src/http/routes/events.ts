/** /v1/sessions/{session_id}/events @module */
import { type SendableEvent, sendEventsRequest } from "@exoloop/protocol/events";
import { defaultPageSize } from "@exoloop/protocol/pages";
import { preview, previewTypes } from "@exoloop/protocol/previews";
import { eventPage, sentEvents, sessionEvent } from "@exoloop/protocol/session-events";
import { z } from "zod";
import { Problem } from "../../errors.ts";
import { admitEvents } from "../admission.ts";
import { writeEvent } from "../event-answer.ts";
import { type EventStreams, sessionSource, type StreamSource } from "../event-stream.ts";
import { type CursorScope, decodeCursor, encodeCursor, numberCursor } from "../pages.ts";
import { createdRange, limit, order, page, readRange } from "../query.ts";
import { type Call, type RouteContext, addRoute } from "../route.ts";
import type { SessionService } from "../../sessions/port.ts";

const tag = "Events";
const path = "/v1/sessions/{session_id}/events";

const listParameters = z.strictObject({
  limit,
  page,
  order,
  "types[]": z.array(z.string().max(64)).max(64).optional(),
  ...createdRange,
});

export const streamParameters = z.strictObject({
  "event_deltas[]": z.array(z.enum(previewTypes)).max(16).optional(),
  after_seq: z.coerce.number<string>().int().min(0).optional(),
});

/** The data of one frame. */
export const streamData = z.union([sessionEvent, preview]).meta({ id: "StreamData" });

export function addEventRoutes(context: RouteContext, sessions: SessionService, streams: EventStreams): void {
  addRoute(
    context,
    {
      method: "post",
      workers: ["session"],
      path,
      summary: "Send events to a session",
      tag,
      body: sendEventsRequest,
      answer: sentEvents,
    },
    async ({ principal, body, parameter }) => {
      if (principal.session !== undefined) requireResults(body.events);
      const events = admitEvents(body.events, "events");
      const stored = await sessions.send(principal, parameter("session_id"), events);
      return Response.json({ data: stored.map(writeEvent) });
    },
  );
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path,
      summary: "List a session's events",
      tag,
      query: listParameters,
      answer: eventPage,
    },
    (call) => listEvents(sessions, call),
  );
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: `${path}/stream`,
      summary: "Follow a session's events",
      tag,
      query: streamParameters,
      answer: streamData,
      stream: "text/event-stream",
    },
    (call) => answerStream(streams, call, sessionSource(sessions, call.principal, call.parameter("session_id"))),
  );
}

/** A worker answers calls; it neither speaks for the user nor approves what it is to do. @throws Problem `forbidden` */
function requireResults(events: readonly SendableEvent[]): void {
  const wrong = events.findIndex(({ type }) => type !== "user.tool_result" && type !== "user.custom_tool_result");
  if (wrong === -1) return;
  throw new Problem(
    "forbidden",
    `events[${wrong}]: a worker's token may not send ${events[wrong]?.type}.`,
    "It sends user.tool_result and user.custom_tool_result; for others use a key of the organization.",
  );
}

async function listEvents(sessions: SessionService, call: Call<z.output<typeof listParameters>, undefined>) {
  const { principal, query, parameter } = call;
  const sessionId = parameter("session_id");
  const scope: CursorScope = { list: `sessions/${sessionId}/events`, organizationId: principal.organizationId };
  const cursor = query.page === undefined ? null : decodeCursor(scope, query.page, numberCursor);
  const direction = query.order ?? cursor?.order ?? "asc";
  if (cursor !== null && cursor.order !== direction) {
    throw new Problem(
      "invalid_cursor",
      `page: the cursor belongs to the order ${cursor.order}.`,
      "Keep the order from page to page.",
    );
  }
  const size = query.limit ?? defaultPageSize;
  const stored = await sessions.events(principal, sessionId, {
    order: direction,
    limit: size,
    processed: readRange(query),
    ...(query["types[]"] === undefined ? {} : { types: query["types[]"] }),
    ...(cursor === null ? {} : direction === "asc" ? { after: cursor.number } : { before: cursor.number }),
  });
  const last = stored.at(-1);
  // A full page may be the last one; the next is then empty, which every client follows to its end.
  const more = last !== undefined && stored.length >= size;
  return {
    data: stored.map(writeEvent),
    next_page: more ? encodeCursor(scope, { order: direction, number: last.seq }) : null,
  };
}

/** The header wins: a browser that reconnects sends it along with the address it began with. */
function readAfter(headers: Headers, query: number | undefined): number | null {
  const header = headers.get("last-event-id");
  if (header === null || header === "") return query ?? null;
  if (/^\d{1,15}$/.test(header)) return Number(header);
  throw new Problem(
    "invalid_cursor",
    "Last-Event-ID: not the id of an event of a stream.",
    "Send the last id: line of the stream, or leave it out.",
  );
}

/** What streams of sessions and of threads share. */
export async function answerStream(
  streams: EventStreams,
  { query, headers, signal, hangUp, isRevoked }: Call<z.output<typeof streamParameters>, undefined>,
  source: StreamSource,
): Promise<Response> {
  const body = await streams.open({
    source,
    after: readAfter(headers, query.after_seq),
    previews: new Set(query["event_deltas[]"]),
    signal,
    hangUp,
    isRevoked,
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      // Proxies that would wait for more before they pass it on.
      "x-accel-buffering": "no",
    },
  });
}

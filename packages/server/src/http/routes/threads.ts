/** /v1/sessions/{session_id}/threads @module */
import { defaultPageSize } from "@exoloop/protocol/pages";
import { eventPage } from "@exoloop/protocol/session-events";
import { sessionStatus } from "@exoloop/protocol/sessions";
import { sessionThread, threadPage } from "@exoloop/protocol/threads";
import { z } from "zod";
import { writeThread, writeThreadEvent } from "../event-answer.ts";
import type { EventStreams } from "../event-stream.ts";
import { type CursorScope, decodeCursor, encodeCursor, numberCursor } from "../pages.ts";
import { limit, page } from "../query.ts";
import { type Call, type RouteContext, addRoute } from "../route.ts";
import { answerStream, streamData, streamParameters } from "./events.ts";
import type { ThreadService } from "../../sessions/port.ts";

const tag = "Threads";
const list = "/v1/sessions/{session_id}/threads";
const item = `${list}/{thread_id}`;

const listParameters = z.strictObject({
  limit,
  page,
  "statuses[]": z.array(sessionStatus).max(16).optional(),
});
const eventParameters = z.strictObject({ limit, page });

export function addThreadRoutes(context: RouteContext, threads: ThreadService, streams: EventStreams): void {
  addRoute(
    context,
    { method: "get", path: list, summary: "List a session's threads", tag, query: listParameters, answer: threadPage },
    (call) => listThreads(threads, call),
  );
  addRoute(
    context,
    { method: "get", path: item, summary: "Retrieve a thread", tag, answer: sessionThread },
    async ({ principal, parameter }) =>
      writeThread(await threads.get(principal, parameter("session_id"), parameter("thread_id"))),
  );
  addRoute(
    context,
    { method: "post", path: `${item}/archive`, summary: "Archive a thread", tag, answer: sessionThread },
    async ({ principal, parameter }) =>
      writeThread(await threads.archive(principal, parameter("session_id"), parameter("thread_id"))),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${item}/events`,
      summary: "List a thread's events",
      tag,
      query: eventParameters,
      answer: eventPage,
    },
    (call) => listThreadEvents(threads, call),
  );
  addRoute(
    context,
    {
      method: "get",
      path: `${item}/stream`,
      summary: "Follow a thread's events",
      tag,
      query: streamParameters,
      answer: streamData,
      stream: "text/event-stream",
    },
    (call) => streamThread(threads, streams, call),
  );
}

async function listThreads(threads: ThreadService, call: Call<z.output<typeof listParameters>, undefined>) {
  const { principal, query, parameter } = call;
  const sessionId = parameter("session_id");
  const scope: CursorScope = { list: `sessions/${sessionId}/threads`, organizationId: principal.organizationId };
  const after = query.page === undefined ? 0 : decodeCursor(scope, query.page, numberCursor).number;
  const { rows, more } = await threads.list(principal, sessionId, {
    after,
    limit: query.limit ?? defaultPageSize,
    ...(query["statuses[]"] === undefined ? {} : { statuses: query["statuses[]"] }),
  });
  return {
    data: rows.map(writeThread),
    next_page: more ? encodeCursor(scope, { order: "asc", number: after + rows.length }) : null,
  };
}

async function listThreadEvents(threads: ThreadService, call: Call<z.output<typeof eventParameters>, undefined>) {
  const { principal, query, parameter } = call;
  const [sessionId, threadId] = [parameter("session_id"), parameter("thread_id")];
  const scope: CursorScope = { list: `threads/${threadId}/events`, organizationId: principal.organizationId };
  const after = query.page === undefined ? 0 : decodeCursor(scope, query.page, numberCursor).number;
  const size = query.limit ?? defaultPageSize;
  const { agentName } = await threads.log(principal, sessionId, threadId);
  const stored = await threads.events(principal, sessionId, threadId, { order: "asc", limit: size, after });
  const last = stored.at(-1);
  const more = last !== undefined && stored.length >= size;
  return {
    data: stored.map((event) => writeThreadEvent(threadId, agentName, event)),
    next_page: more ? encodeCursor(scope, { order: "asc", number: last.seq }) : null,
  };
}

async function streamThread(
  threads: ThreadService,
  streams: EventStreams,
  call: Call<z.output<typeof streamParameters>, undefined>,
): Promise<Response> {
  const { principal, parameter } = call;
  const [sessionId, threadId] = [parameter("session_id"), parameter("thread_id")];
  const { logId, agentName } = await threads.log(principal, sessionId, threadId);
  return answerStream(streams, call, {
    logId,
    head: () => threads.head(principal, sessionId, threadId),
    events: (query) => threads.events(principal, sessionId, threadId, query),
    write: (event) => writeThreadEvent(threadId, agentName, event),
  });
}

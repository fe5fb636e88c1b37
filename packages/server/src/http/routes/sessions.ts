/** /v1/sessions @module */
import {
  createSessionRequest,
  session,
  sessionDeletion,
  sessionPage,
  sessionShare,
  sessionStatus,
  updateSessionRequest,
} from "@exoloop/protocol/sessions";
import { z } from "zod";
import { admitSession, admitSessionUpdate } from "../admission.ts";
import { writeSession } from "../event-answer.ts";
import { readListQuery, writePage } from "../pages.ts";
import { count, createdRange, flag, limit, order, page, readRange } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";
import type { SessionService } from "../../sessions/port.ts";

const tag = "Sessions";
const item = "/v1/sessions/{session_id}";

const listParameters = z.strictObject({
  limit,
  page,
  order,
  include_archived: flag,
  agent_id: z.string().max(128).optional(),
  agent_version: count,
  deployment_id: z.string().max(128).optional(),
  /** Not of the Managed Agents API. */
  x_user_id: z.string().max(128).optional(),
  memory_store_id: z.string().max(128).optional(),
  "statuses[]": z.array(sessionStatus).max(16).optional(),
  ...createdRange,
});

export function addSessionRoutes(context: RouteContext, sessions: SessionService): void {
  addRoute(
    context,
    {
      method: "post",
      path: "/v1/sessions",
      summary: "Create a session",
      tag,
      body: createSessionRequest,
      answer: session,
    },
    async ({ principal, body }) => writeSession(await sessions.create(principal, admitSession(body))),
  );
  addListRoute(context, sessions);
  addRoute(
    context,
    {
      method: "post",
      path: "/v1/x/sessions/{session_id}/share",
      summary: "Show a private session to the whole organization, for good",
      tag,
      answer: sessionShare,
    },
    ({ principal, parameter }) => sessions.share(principal, parameter("session_id")),
  );
  addRoute(
    context,
    { method: "get", workers: ["session"], path: item, summary: "Retrieve a session", tag, answer: session },
    async ({ principal, parameter }) => writeSession(await sessions.get(principal, parameter("session_id"))),
  );
  addRoute(
    context,
    { method: "post", path: item, summary: "Update a session", tag, body: updateSessionRequest, answer: session },
    async ({ principal, body, parameter }) =>
      writeSession(await sessions.update(principal, parameter("session_id"), admitSessionUpdate(body))),
  );
  addRoute(
    context,
    { method: "post", path: `${item}/archive`, summary: "Archive a session", tag, answer: session },
    async ({ principal, parameter }) => writeSession(await sessions.archive(principal, parameter("session_id"))),
  );
  addRoute(
    context,
    { method: "delete", path: item, summary: "Delete a session", tag, answer: sessionDeletion },
    async ({ principal, parameter }) => {
      const id = parameter("session_id");
      await sessions.delete(principal, id);
      return { id, type: "session_deleted" as const };
    },
  );
}

function addListRoute(context: RouteContext, sessions: SessionService): void {
  addRoute(
    context,
    { method: "get", path: "/v1/sessions", summary: "List sessions", tag, query: listParameters, answer: sessionPage },
    async ({ principal, query }) => {
      const scope = { list: "sessions", organizationId: principal.organizationId };
      const listQuery = {
        ...readListQuery(scope, query),
        created: readRange(query),
        ...(query.agent_id === undefined ? {} : { agentId: query.agent_id }),
        // Without an agent, a version says nothing.
        ...(query.agent_id === undefined || query.agent_version === undefined
          ? {}
          : { agentVersion: query.agent_version }),
        ...(query.deployment_id === undefined ? {} : { deploymentId: query.deployment_id }),
        ...(query.memory_store_id === undefined ? {} : { memoryStoreId: query.memory_store_id }),
        ...(query.x_user_id === undefined ? {} : { userId: query.x_user_id }),
        ...(query["statuses[]"] === undefined ? {} : { statuses: query["statuses[]"] }),
      };
      return writePage(scope, listQuery, await sessions.list(principal, listQuery), writeSession);
    },
  );
}

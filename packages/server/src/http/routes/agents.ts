/** /v1/agents @module */
import { agent, agentPage, createAgentRequest, updateAgentRequest } from "@exoloop/protocol/agents";
import { defaultPageSize } from "@exoloop/protocol/pages";
import { z } from "zod";
import type { AgentRepository } from "../../agents/agents.ts";
import { type CursorScope, decodeCursor, encodeCursor, numberCursor, readListQuery, writePage } from "../pages.ts";
import { count, createdRange, flag, limit, page, readRange } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Agents";

export function addAgentRoutes(context: RouteContext, agents: AgentRepository): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: "/v1/agents",
      summary: "Create an agent",
      tag,
      body: createAgentRequest,
      answer: agent,
    },
    ({ principal, body }) => agents.create(principal.organizationId, body),
  );
  addListRoute(context, agents);
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/agents/{agent_id}",
      summary: "Retrieve an agent",
      tag,
      query: z.strictObject({ version: count }),
      answer: agent,
    },
    ({ principal, query, parameter }) => agents.get(principal.organizationId, parameter("agent_id"), query.version),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: "/v1/agents/{agent_id}",
      summary: "Update an agent: adds a version",
      tag,
      body: updateAgentRequest,
      answer: agent,
    },
    ({ principal, body, parameter }) => agents.update(principal.organizationId, parameter("agent_id"), body),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: "/v1/agents/{agent_id}/archive",
      summary: "Archive an agent",
      tag,
      answer: agent,
    },
    ({ principal, parameter }) => agents.archive(principal.organizationId, parameter("agent_id")),
  );
  addVersionsRoute(context, agents);
}

function addVersionsRoute(context: RouteContext, agents: AgentRepository): void {
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/agents/{agent_id}/versions",
      summary: "List an agent's versions, newest first",
      tag,
      query: z.strictObject({ limit, page }),
      answer: agentPage,
    },
    async ({ principal, query, parameter }) => {
      const agentId = parameter("agent_id");
      const scope: CursorScope = { list: `agents/${agentId}/versions`, organizationId: principal.organizationId };
      const before = query.page === undefined ? null : decodeCursor(scope, query.page, numberCursor).number;
      const list = await agents.versions(principal.organizationId, agentId, {
        limit: query.limit ?? defaultPageSize,
        before,
      });
      const next = list.next === null ? null : encodeCursor(scope, { order: "desc", number: list.next });
      return { data: [...list.rows], next_page: next };
    },
  );
}

function addListRoute(context: RouteContext, agents: AgentRepository): void {
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/agents",
      summary: "List agents",
      tag,
      query: z.strictObject({ limit, page, include_archived: flag, ...createdRange }),
      answer: agentPage,
    },
    async ({ principal, query }) => {
      const scope = { list: "agents", organizationId: principal.organizationId };
      const listQuery = { ...readListQuery(scope, query), created: readRange(query) };
      const list = await agents.list(principal.organizationId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, list, (row) => row);
      return { data, next_page };
    },
  );
}

/** /v1/environments @module */
import {
  createEnvironmentRequest,
  environment,
  environmentDeletion,
  environmentPage,
  updateEnvironmentRequest,
} from "@exoloop/protocol/environments";
import { z } from "zod";
import type { EnvironmentRepository } from "../../agents/environments.ts";
import { readListQuery, writePage } from "../pages.ts";
import { flag, limit, page } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Environments";
const item = "/v1/environments/{environment_id}";

export function addEnvironmentRoutes(context: RouteContext, environments: EnvironmentRepository): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: "/v1/environments",
      summary: "Create an environment",
      tag,
      body: createEnvironmentRequest,
      answer: environment,
    },
    ({ principal, body }) => environments.create(principal.organizationId, body),
  );
  addListRoute(context, environments);
  addRoute(
    context,
    { method: "get", path: item, summary: "Retrieve an environment", tag, answer: environment },
    ({ principal, parameter }) => environments.get(principal.organizationId, parameter("environment_id")),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: item,
      summary: "Update an environment",
      tag,
      body: updateEnvironmentRequest,
      answer: environment,
    },
    ({ principal, body, parameter }) =>
      environments.update(principal.organizationId, parameter("environment_id"), body),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: `${item}/archive`,
      summary: "Archive an environment",
      tag,
      answer: environment,
    },
    ({ principal, parameter }) => environments.archive(principal.organizationId, parameter("environment_id")),
  );
  addRoute(
    context,
    { method: "delete", admin: true, path: item, summary: "Delete an environment", tag, answer: environmentDeletion },
    async ({ principal, parameter }) => {
      const id = parameter("environment_id");
      await environments.delete(principal.organizationId, id);
      return { id, type: "environment_deleted" as const };
    },
  );
}

function addListRoute(context: RouteContext, environments: EnvironmentRepository): void {
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/environments",
      summary: "List environments",
      tag,
      query: z.strictObject({ limit, page, include_archived: flag }),
      answer: environmentPage,
    },
    async ({ principal, query }) => {
      const scope = { list: "environments", organizationId: principal.organizationId };
      const listQuery = readListQuery(scope, query);
      const list = await environments.list(principal.organizationId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, list, (row) => row);
      return { data, next_page };
    },
  );
}

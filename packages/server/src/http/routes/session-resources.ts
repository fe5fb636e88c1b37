/** /v1/sessions/{session_id}/resources @module */
import {
  resourceInput,
  sessionResource,
  sessionResourceDeletion,
  sessionResourcePage,
  updateResourceRequest,
} from "@exoloop/protocol/session-resources";
import { z } from "zod";
import { Problem } from "../../errors.ts";
import type { SessionResourceService } from "../../sessions/resources/service.ts";
import { limit, page } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Sessions";
const list = "/v1/sessions/{session_id}/resources";
const item = `${list}/{resource_id}` as const;

export function addSessionResourceRoutes(context: RouteContext, resources: SessionResourceService): void {
  addRoute(
    context,
    {
      method: "post",
      path: list,
      summary: "Attach a resource to a session",
      tag,
      body: resourceInput,
      answer: sessionResource,
    },
    ({ principal, body, parameter }) => resources.add(principal, parameter("session_id"), body),
  );
  const query = z.strictObject({ limit, page });
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: list,
      summary: "List the resources of a session",
      tag,
      query,
      answer: sessionResourcePage,
    },
    // There are few: all are on one page.
    async ({ principal, parameter }) => ({
      data: [...(await resources.list(principal, parameter("session_id")))],
      next_page: null,
    }),
  );
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: item,
      summary: "Retrieve a resource of a session",
      tag,
      answer: sessionResource,
    },
    ({ principal, parameter }) => resources.get(principal, parameter("session_id"), parameter("resource_id")),
  );
  addChangeRoutes(context, resources);
}

function addChangeRoutes(context: RouteContext, resources: SessionResourceService): void {
  addRoute(
    context,
    {
      method: "post",
      path: item,
      summary: "Update a resource of a session",
      tag,
      body: updateResourceRequest,
      answer: sessionResource,
    },
    async ({ principal, parameter }) => {
      const { type } = await resources.get(principal, parameter("session_id"), parameter("resource_id"));
      throw new Problem(
        "unsupported",
        `authorization_token: a resource of type ${type} has none.`,
        "Detach the resource and attach it anew to change it.",
      );
    },
  );
  addRoute(
    context,
    {
      method: "delete",
      path: item,
      summary: "Detach a resource from a session",
      tag,
      answer: sessionResourceDeletion,
    },
    async ({ principal, parameter }) => {
      const id = parameter("resource_id");
      await resources.remove(principal, parameter("session_id"), id);
      return { id, type: "session_resource_deleted" as const };
    },
  );
}

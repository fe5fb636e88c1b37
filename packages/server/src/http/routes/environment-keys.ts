/** /v1/x/environments/{environment_id}/keys: what workers of a self-hosted environment authenticate with. @module */
import {
  createEnvironmentKeyRequest,
  environmentKeyDeletion,
  environmentKeyPage,
  environmentKeyWithSecret,
} from "@exoloop/protocol/work";
import { z } from "zod";
import type { EnvironmentKeyRepository } from "../../orgs/environment-keys.ts";
import { readListQuery, writePage } from "../pages.ts";
import { limit, page } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Environments";
const path = "/v1/x/environments/{environment_id}/keys";

export function addEnvironmentKeyRoutes(context: RouteContext, keys: EnvironmentKeyRepository): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path,
      summary: "Create a worker's key of a self-hosted environment",
      tag,
      body: createEnvironmentKeyRequest,
      answer: environmentKeyWithSecret,
    },
    // Not a plain value: what is remembered of a request with an Idempotency-Key must not hold a secret.
    async ({ principal, body, parameter }) =>
      Response.json(await keys.create(principal.organizationId, parameter("environment_id"), body.name)),
  );
  addRoute(
    context,
    {
      method: "get",
      admin: true,
      path,
      summary: "List the keys of a self-hosted environment",
      tag,
      query: z.strictObject({ limit, page }),
      answer: environmentKeyPage,
    },
    async ({ principal: { organizationId }, query, parameter }) => {
      const environmentId = parameter("environment_id");
      const scope = { list: `environments/${environmentId}/keys`, organizationId };
      const listQuery = readListQuery(scope, query);
      const list = await keys.list(organizationId, environmentId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, list, (row) => row);
      return { data, next_page };
    },
  );
  addRoute(
    context,
    {
      method: "delete",
      admin: true,
      path: `${path}/{key_id}`,
      summary: "Revoke a key of a self-hosted environment",
      tag,
      answer: environmentKeyDeletion,
    },
    async ({ principal, parameter }) => {
      const id = parameter("key_id");
      await keys.revoke(principal.organizationId, parameter("environment_id"), id);
      return { id, type: "environment_key_deleted" as const };
    },
  );
}

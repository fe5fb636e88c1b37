/** /v1/x/users: the people of an organization, and the keys that are theirs. @module */
import {
  createUserKeyRequest,
  createUserRequest,
  updateUserRequest,
  user,
  userKey,
  userKeyList,
  userKeyWithSecret,
  userPage,
} from "@exoloop/protocol/users";
import { z } from "zod";
import type { UserKeys, UserRepository } from "../../orgs/users.ts";
import { readListQuery, writePage } from "../pages.ts";
import { flag, limit, page } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Users";
const path = "/v1/x/users";
const item = `${path}/{user_id}` as const;
const id = "user_id";

export function addUserRoutes(context: RouteContext, users: UserRepository): void {
  addRoute(
    context,
    { method: "post", admin: true, path, summary: "Create a user", tag, body: createUserRequest, answer: user },
    ({ principal, body }) => users.create(principal.organizationId, body),
  );
  addRoute(
    context,
    {
      method: "get",
      admin: true,
      path,
      summary: "List users",
      tag,
      query: z.strictObject({
        limit,
        page,
        include_archived: flag,
        external_id: z.string().max(255).optional(),
      }),
      answer: userPage,
    },
    async ({ principal, query }) => {
      const scope = { list: "users", organizationId: principal.organizationId };
      const { external_id: externalId } = query;
      const listQuery = { ...readListQuery(scope, query), ...(externalId === undefined ? {} : { externalId }) };
      const { data, next_page } = writePage(
        scope,
        listQuery,
        await users.list(principal.organizationId, listQuery),
        (row) => row,
      );
      return { data, next_page };
    },
  );
  addRoute(
    context,
    { method: "get", admin: true, path: item, summary: "Retrieve a user", tag, answer: user },
    ({ principal, parameter }) => users.get(principal.organizationId, parameter(id)),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: item,
      summary: "Rename a user",
      tag,
      body: updateUserRequest,
      answer: user,
    },
    ({ principal, body, parameter }) => users.update(principal.organizationId, parameter(id), body),
  );
  addRoute(
    context,
    { method: "post", admin: true, path: `${item}/archive`, summary: "Archive a user", tag, answer: user },
    ({ principal, parameter }) => users.archive(principal.organizationId, parameter(id)),
  );
  addKeyRoutes(context, users.keys);
}

function addKeyRoutes(context: RouteContext, keys: UserKeys): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: `${item}/keys`,
      summary: "Create a key of a user",
      tag,
      body: createUserKeyRequest,
      answer: userKeyWithSecret,
    },
    // No plain value: what is remembered of a request with an Idempotency-Key must not hold a secret.
    async ({ principal, body, parameter }) =>
      Response.json(await keys.create(principal.organizationId, parameter(id), body)),
  );
  addRoute(
    context,
    { method: "get", admin: true, path: `${item}/keys`, summary: "List a user's keys", tag, answer: userKeyList },
    async ({ principal, parameter }) => ({ data: [...(await keys.list(principal.organizationId, parameter(id)))] }),
  );
  addRoute(
    context,
    {
      method: "delete",
      admin: true,
      path: `${item}/keys/{key_id}`,
      summary: "Revoke a key of a user",
      tag,
      answer: userKey,
    },
    ({ principal, parameter }) => keys.revoke(principal.organizationId, parameter(id), parameter("key_id")),
  );
}

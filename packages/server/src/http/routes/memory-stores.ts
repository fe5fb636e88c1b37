/** /v1/memory_stores @module */
import {
  createMemoryStoreRequest,
  memoryStore,
  memoryStoreDeletion,
  memoryStorePage,
  updateMemoryStoreRequest,
} from "@exoloop/protocol/memory-stores";
import { z } from "zod";
import type { MemoryStoreRepository } from "../../files/memory/stores.ts";
import { readListQuery, writePage } from "../pages.ts";
import { createdRange, flag, limit, page, readRange } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Memory";
const list = "/v1/memory_stores";
const item = `${list}/{memory_store_id}` as const;
const id = "memory_store_id";

export function addMemoryStoreRoutes(context: RouteContext, stores: MemoryStoreRepository): void {
  addRoute(
    context,
    {
      method: "post",
      path: list,
      summary: "Create a memory store",
      tag,
      body: createMemoryStoreRequest,
      answer: memoryStore,
    },
    ({ principal, body }) => stores.create(principal.organizationId, body),
  );
  addListRoute(context, stores);
  addRoute(
    context,
    { method: "get", workers: ["session"], path: item, summary: "Retrieve a memory store", tag, answer: memoryStore },
    ({ principal, parameter }) => stores.get(principal, parameter(id)),
  );
  addRoute(
    context,
    {
      method: "post",
      path: item,
      summary: "Update a memory store",
      tag,
      body: updateMemoryStoreRequest,
      answer: memoryStore,
    },
    ({ principal, body, parameter }) => stores.update(principal, parameter(id), body),
  );
  addRoute(
    context,
    { method: "post", path: `${item}/archive`, summary: "Archive a memory store", tag, answer: memoryStore },
    ({ principal, parameter }) => stores.archive(principal, parameter(id)),
  );
  addRoute(
    context,
    { method: "delete", path: item, summary: "Delete a memory store", tag, answer: memoryStoreDeletion },
    async ({ principal, parameter }) => {
      await stores.delete(principal, parameter(id));
      return { id: parameter(id), type: "memory_store_deleted" as const };
    },
  );
}

function addListRoute(context: RouteContext, stores: MemoryStoreRepository): void {
  const query = z.strictObject({ limit, page, include_archived: flag, ...createdRange });
  addRoute(
    context,
    { method: "get", path: list, summary: "List memory stores", tag, query, answer: memoryStorePage },
    async ({ principal, query: asked }) => {
      const scope = { list: "memory_stores", organizationId: principal.organizationId };
      const listQuery = { ...readListQuery(scope, asked), created: readRange(asked) };
      const rows = await stores.list(principal.organizationId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, rows, (row) => row);
      return { data, next_page };
    },
  );
}

/** /v1/memory_stores/{memory_store_id}/memories and …/memory_versions @module */
import {
  contentHash,
  createMemoryRequest,
  largestMemoryPage,
  memory,
  memoryDeletion,
  memoryOperations,
  memoryPage,
  memoryVersion,
  memoryVersionPage,
  memoryView,
  type MemoryView,
  updateMemoryRequest,
} from "@exoloop/protocol/memories";
import { defaultPageSize } from "@exoloop/protocol/pages";
import { z } from "zod";
import { encodeText, sha256Of } from "../../files/text.ts";
import type { MemoryRepository } from "../../files/memory/memories.ts";
import { checkPathPrefix } from "../../files/memory/memory-path.ts";
import type { MemoryVersionRepository } from "../../files/memory/versions.ts";
import { decodeCursor, encodeCursor } from "../pages.ts";
import { createdRange, limit, page, readRange } from "../query.ts";
import { type RouteContext, addRoute } from "../route.ts";

const tag = "Memory";
const store = "memory_store_id";
const memories = "/v1/memory_stores/{memory_store_id}/memories";
const memoryItem = `${memories}/{memory_id}` as const;
const versions = "/v1/memory_stores/{memory_store_id}/memory_versions";
const versionItem = `${versions}/{memory_version_id}` as const;

const view = memoryView.optional();
const viewQuery = z.strictObject({ view });

/** What is larger is cut, as in every list. */
function pageSize(asked: number | undefined, asView: MemoryView): number {
  return Math.min(asked ?? defaultPageSize, largestMemoryPage[asView]);
}

export function addMemoryRoutes(context: RouteContext, repository: MemoryRepository): void {
  addRoute(
    context,
    {
      method: "post",
      workers: ["session"],
      path: memories,
      summary: "Create a memory",
      tag,
      query: viewQuery,
      body: createMemoryRequest,
      answer: memory,
    },
    ({ principal, body, query, parameter }) =>
      repository.create(principal, parameter(store), body, query.view ?? "basic"),
  );
  addMemoryListRoute(context, repository);
  addMemoryChangeRoutes(context, repository);
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: memoryItem,
      summary: "Retrieve a memory",
      tag,
      query: viewQuery,
      answer: memory,
    },
    ({ principal, query, parameter }) =>
      repository.get(principal, parameter(store), parameter("memory_id"), query.view ?? "full"),
  );
}

function addMemoryChangeRoutes(context: RouteContext, repository: MemoryRepository): void {
  addRoute(
    context,
    {
      method: "post",
      workers: ["session"],
      path: memoryItem,
      summary: "Update a memory",
      tag,
      query: viewQuery,
      body: updateMemoryRequest,
      answer: memory,
    },
    ({ principal, body, query, parameter }) =>
      repository.update(principal, parameter(store), parameter("memory_id"), body, query.view ?? "basic"),
  );
  const deletion = z.strictObject({ expected_content_sha256: contentHash.optional() });
  addRoute(
    context,
    {
      method: "delete",
      workers: ["session"],
      path: memoryItem,
      summary: "Delete a memory",
      tag,
      query: deletion,
      answer: memoryDeletion,
    },
    async ({ principal, query, parameter }) => {
      const id = parameter("memory_id");
      await repository.delete(principal, parameter(store), id, query.expected_content_sha256 ?? null);
      return { id, type: "memory_deleted" as const };
    },
  );
}

function addMemoryListRoute(context: RouteContext, repository: MemoryRepository): void {
  const query = z.strictObject({
    limit,
    // It holds a path.
    page: z.string().max(8_192).optional(),
    view,
    path_prefix: z.string().max(1_024).optional(),
    depth: z.enum(["0", "1"]).optional(),
  });
  const cursor = z.strictObject({ after: z.string().min(2).max(1_024) });
  addRoute(
    context,
    { method: "get", workers: ["session"], path: memories, summary: "List memories", tag, query, answer: memoryPage },
    async ({ principal, query: asked, parameter }) => {
      const storeId = parameter(store);
      const prefix = checkPathPrefix(asked.path_prefix ?? "/");
      const shallow = asked.depth === "1";
      const list = `memories ${storeId} ${shallow ? "1" : "0"} ${sha256Of(encodeText(prefix))}`;
      const scope = { list, organizationId: principal.organizationId };
      const asView = asked.view ?? "basic";
      const { items, more } = await repository.list(principal, storeId, {
        prefix,
        shallow,
        view: asView,
        limit: pageSize(asked.limit, asView),
        after: asked.page === undefined ? null : decodeCursor(scope, asked.page, cursor).after,
      });
      const last = items.at(-1);
      return {
        data: [...items],
        next_page: more && last !== undefined ? encodeCursor(scope, { after: last.path }) : null,
      };
    },
  );
}

export function addMemoryVersionRoutes(context: RouteContext, repository: MemoryVersionRepository): void {
  addVersionListRoute(context, repository);
  addRedactRoute(context, repository);
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: versionItem,
      summary: "Retrieve a memory version",
      tag,
      query: viewQuery,
      answer: memoryVersion,
    },
    ({ principal, query, parameter }) =>
      repository.get(principal, parameter(store), parameter("memory_version_id"), query.view ?? "full"),
  );
}

function addRedactRoute(context: RouteContext, repository: MemoryVersionRepository): void {
  addRoute(
    context,
    { method: "post", path: `${versionItem}/redact`, summary: "Redact a memory version", tag, answer: memoryVersion },
    ({ principal, parameter }) => repository.redact(principal, parameter(store), parameter("memory_version_id")),
  );
}

function addVersionListRoute(context: RouteContext, repository: MemoryVersionRepository): void {
  const identifier = z.string().max(128).optional();
  const query = z.strictObject({
    limit,
    page,
    view,
    memory_id: identifier,
    operation: z.enum(memoryOperations).optional(),
    session_id: identifier,
    api_key_id: identifier,
    service_account_id: identifier,
    ...createdRange,
  });
  const cursor = z.strictObject({ revision: z.int().min(0), ordinal: z.int().min(0).max(2_147_483_647) });
  addRoute(
    context,
    {
      method: "get",
      workers: ["session"],
      path: versions,
      summary: "List memory versions",
      tag,
      query,
      answer: memoryVersionPage,
    },
    async ({ principal, query: asked, parameter }) => {
      const storeId = parameter(store);
      const scope = { list: `memory_versions ${storeId}`, organizationId: principal.organizationId };
      const asView = asked.view ?? "basic";
      const found = await repository.list(principal, storeId, {
        view: asView,
        limit: pageSize(asked.limit, asView),
        after: asked.page === undefined ? null : decodeCursor(scope, asked.page, cursor),
        created: readRange(asked),
        ...(asked.memory_id === undefined ? {} : { memoryId: asked.memory_id }),
        ...(asked.operation === undefined ? {} : { operation: asked.operation }),
        ...(asked.session_id === undefined ? {} : { sessionId: asked.session_id }),
        ...(asked.api_key_id === undefined ? {} : { apiKeyId: asked.api_key_id }),
        ...(asked.service_account_id === undefined ? {} : { serviceAccountId: asked.service_account_id }),
      });
      return {
        data: [...found.versions],
        next_page: found.next === null ? null : encodeCursor(scope, found.next),
      };
    },
  );
}

/** /v1/environments/{environment_id}/work: what workers of a self-hosted environment take, keep and end. @module */
import {
  polledWork,
  stopWorkRequest,
  updateWorkRequest,
  workHeartbeat,
  workItem,
  workItemPage,
  workStats,
} from "@exoloop/protocol/work";
import { z } from "zod";
import { Problem } from "../../errors.ts";
import type { WorkService } from "../../work/service.ts";
import { readListQuery, writePage } from "../pages.ts";
import { limit, page } from "../query.ts";
import { type Call, type RouteContext, addRoute } from "../route.ts";

const tag = "Work";
const path = "/v1/environments/{environment_id}/work";
const item = `${path}/{work_id}` as const;

/** As the API bounds it, in milliseconds. */
const longestBlock = 999;
const usualReclaim = 5_000;
const longestReclaim = 24 * 60 * 60_000;
const longestWorkerId = 255;

const pollParameters = z.strictObject({
  block_ms: z.coerce.number<string>().int().min(1).max(longestBlock).optional(),
  reclaim_older_than_ms: z.coerce.number<string>().int().min(0).max(longestReclaim).optional(),
});

const heartbeatParameters = z.strictObject({
  expected_last_heartbeat: z.string().max(64).optional(),
  desired_ttl_seconds: z.coerce.number<string>().int().min(1).max(86_400).optional(),
});

const addressOf = ({ parameter }: Pick<Call<unknown, unknown>, "parameter">) => ({
  environmentId: parameter("environment_id"),
  workId: parameter("work_id"),
});

/** @param publicUrl Where workers reach this server; null: as they name it. */
export function addWorkRoutes(context: RouteContext, work: WorkService, publicUrl: URL | null): void {
  addRoute(
    context,
    {
      method: "get",
      admin: true,
      workers: ["environment"],
      path: `${path}/poll`,
      summary: "Take the next work item, or null",
      tag,
      query: pollParameters,
      answer: polledWork,
    },
    async ({ principal, query, headers, signal, origin, parameter }) => {
      const found = await work.poll(principal, parameter("environment_id"), {
        blockMs: query.block_ms ?? 0,
        reclaimOlderThanMs: query.reclaim_older_than_ms ?? usualReclaim,
        workerId: readWorkerId(headers),
        baseUrl: (publicUrl ?? origin).origin,
        signal,
      });
      return Response.json(found, { headers: { "cache-control": "no-store" } });
    },
  );
  addLeaseRoutes(context, work);
  addLookRoutes(context, work);
}

function readWorkerId(headers: Headers): string | null {
  const id = headers.get("anthropic-worker-id");
  if (id === null || id === "") return null;
  if (id.length <= longestWorkerId && /^[\x20-\x7e]+$/.test(id)) return id;
  throw new Problem(
    "invalid_request",
    `Anthropic-Worker-ID: 1 to ${longestWorkerId} printable ASCII characters.`,
    "Leave it out, or send a shorter name.",
  );
}

function addLeaseRoutes(context: RouteContext, work: WorkService): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      workers: ["environment"],
      path: `${item}/ack`,
      summary: "Acknowledge a work item that was taken",
      tag,
      answer: workItem,
    },
    (call) => work.acknowledge(call.principal, addressOf(call)),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      workers: ["environment", "session", "late"],
      path: `${item}/heartbeat`,
      summary: "Keep the lease of a work item",
      tag,
      query: heartbeatParameters,
      answer: workHeartbeat,
    },
    (call) =>
      work.beat(call.principal, addressOf(call), {
        expected: call.query.expected_last_heartbeat,
        desiredTtl: call.query.desired_ttl_seconds,
      }),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      workers: ["environment", "session"],
      path: `${item}/stop`,
      summary: "Stop a work item",
      tag,
      body: stopWorkRequest,
      answer: workItem,
    },
    (call) => work.stop(call.principal, addressOf(call), call.body.force === true),
  );
}

function addLookRoutes(context: RouteContext, work: WorkService): void {
  addRoute(
    context,
    {
      method: "get",
      path,
      summary: "List work items, newest first",
      tag,
      query: z.strictObject({ limit, page }),
      answer: workItemPage,
    },
    async ({ principal, query, parameter }) => {
      const environmentId = parameter("environment_id");
      const scope = { list: `environments/${environmentId}/work`, organizationId: principal.organizationId };
      const listQuery = readListQuery(scope, query);
      const list = await work.list(principal, environmentId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, list, (row) => row);
      return { data, next_page };
    },
  );
  addRoute(
    context,
    { method: "get", path: `${path}/stats`, summary: "Figures of the queue", tag, answer: workStats },
    ({ principal, parameter }) => work.stats(principal, parameter("environment_id")),
  );
  addRoute(context, { method: "get", path: item, summary: "Retrieve a work item", tag, answer: workItem }, (call) =>
    work.get(call.principal, addressOf(call)),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: item,
      summary: "Update a work item's metadata",
      tag,
      body: updateWorkRequest,
      answer: workItem,
    },
    (call) => {
      const patch: Record<string, string | null> = { ...call.body.metadata };
      for (const [key, value] of Object.entries(patch)) if (value === "") patch[key] = null;
      return work.update(call.principal, addressOf(call), patch);
    },
  );
}

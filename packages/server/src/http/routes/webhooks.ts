/** /v1/x/webhooks: webhooks that wake sessions, and what is posted to them. @module */
import {
  createWebhookRequest,
  rotateWebhookRequest,
  webhook,
  webhookDeletion,
  webhookDelivery,
  webhookPage,
  webhookWithSecret,
} from "@exoloop/protocol/webhooks";
import { z } from "zod";
import type { WebhookReceiver } from "../../webhooks/deliver.ts";
import type { WebhookRepository } from "../../webhooks/webhooks.ts";
import { readBytes } from "../body.ts";
import { readListQuery, writePage } from "../pages.ts";
import { limit, page } from "../query.ts";
import { type RouteContext, addOpenRoute, addRoute } from "../route.ts";

const tag = "Webhooks";
const item = "/v1/x/webhooks/{webhook_id}";
const maximumDeliveryBytes = 256 * 1024;

export function addWebhookRoutes(context: RouteContext, webhooks: WebhookRepository, receiver: WebhookReceiver): void {
  addSecretRoutes(context, webhooks);
  addRoute(
    context,
    {
      method: "get",
      path: "/v1/x/webhooks",
      summary: "List webhooks",
      tag,
      query: z.strictObject({ limit, page }),
      answer: webhookPage,
    },
    async ({ principal, query }) => {
      const scope = { list: "webhooks", organizationId: principal.organizationId };
      const listQuery = readListQuery(scope, query);
      const list = await webhooks.list(principal.organizationId, listQuery);
      const { data, next_page } = writePage(scope, listQuery, list, (row) => row);
      return { data, next_page };
    },
  );
  addRoute(
    context,
    { method: "get", path: item, summary: "Retrieve a webhook", tag, answer: webhook },
    ({ principal, parameter }) => webhooks.get(principal.organizationId, parameter("webhook_id")),
  );
  addRoute(
    context,
    { method: "delete", admin: true, path: item, summary: "Delete a webhook", tag, answer: webhookDeletion },
    async ({ principal, parameter }) => {
      const id = parameter("webhook_id");
      await webhooks.delete(principal.organizationId, id);
      return { id, type: "webhook_deleted" as const };
    },
  );
  addOpenRoute(
    context,
    {
      method: "post",
      path: `${item}/deliveries`,
      summary: "Deliver to a webhook, signed as Standard Webhooks describes it",
      tag,
      answer: webhookDelivery,
    },
    async ({ request, parameter }) => {
      const read = () => readBytes(request, maximumDeliveryBytes);
      const { id } = await receiver.receive(parameter("webhook_id"), request.headers, read);
      return { id, type: "webhook_delivery" as const };
    },
  );
}

/** Answers with a secret are no plain values: what is remembered of a request with an Idempotency-Key must not hold one. */
function addSecretRoutes(context: RouteContext, webhooks: WebhookRepository): void {
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: "/v1/x/webhooks",
      summary: "Create a webhook",
      tag,
      body: createWebhookRequest,
      answer: webhookWithSecret,
    },
    async ({ principal, body }) => Response.json(await webhooks.create(principal.organizationId, body)),
  );
  addRoute(
    context,
    {
      method: "post",
      admin: true,
      path: `${item}/rotate`,
      summary: "Change a webhook's secret",
      tag,
      body: rotateWebhookRequest,
      answer: webhookWithSecret,
    },
    async ({ principal, body, parameter }) =>
      Response.json(await webhooks.rotate(principal.organizationId, parameter("webhook_id"), body.secret)),
  );
}

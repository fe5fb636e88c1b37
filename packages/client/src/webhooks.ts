/** Webhooks that wake sessions. @module */
import type { Page } from "@exoloop/protocol/pages";
import { signWebhook } from "@exoloop/protocol/webhook-signatures";
import type {
  CreateWebhookRequest,
  RotateWebhookRequest,
  Webhook,
  WebhookDelivery,
  WebhookWithSecret,
} from "@exoloop/protocol/webhooks";
import { segment, type Transport } from "./transport.ts";

export interface DeliverRequest {
  readonly secret: string;
  /** JSON or any other text. */
  readonly payload: string;
  /** Of the sender: the same twice is one delivery. A random one unless given. */
  readonly deliveryId?: string;
}

export function webhookMethods(transport: Transport) {
  const path = (id: string) => `/v1/x/webhooks/${segment(id)}`;
  return {
    /** The answer is the only one with the secret. */
    create: (request: CreateWebhookRequest) =>
      transport.request<WebhookWithSecret>("POST", "/v1/x/webhooks", { body: request }),
    retrieve: (id: string) => transport.request<Webhook>("GET", path(id)),
    /** Newest first. */
    list: (parameters: { readonly limit?: number; readonly page?: string } = {}) =>
      transport.request<Page<Webhook>>("GET", "/v1/x/webhooks", { query: { ...parameters } }),
    /** A new secret; the one before is worth nothing at once. */
    rotate: (id: string, request: RotateWebhookRequest = {}) =>
      transport.request<WebhookWithSecret>("POST", `${path(id)}/rotate`, { body: request }),
    delete: (id: string) => transport.request<{ id: string; type: "webhook_deleted" }>("DELETE", path(id)),
    /** Posts a delivery as its sender would. @throws TypeError when the secret has not the form of one */
    async deliver(id: string, { secret, payload, deliveryId }: DeliverRequest): Promise<WebhookDelivery> {
      const message = {
        id: deliveryId ?? `msg_${crypto.randomUUID()}`,
        timestamp: Math.floor(Date.now() / 1000),
        body: new TextEncoder().encode(payload),
      };
      const headers = await signWebhook(secret, message);
      return transport.request<WebhookDelivery>("POST", `${path(id)}/deliveries`, { text: payload, headers });
    },
  };
}

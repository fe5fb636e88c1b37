/** Webhooks that wake sessions: `/v1/x/webhooks`, besides the Managed Agents API. @module */
import { z } from "zod";
import { deletionOf, pageOf } from "./pages.ts";
import { timestamp } from "./values.ts";
import { readWebhookSecret } from "./webhook-signatures.ts";

const name = z.string().regex(/^[a-z0-9-]{1,64}$/, "1 to 64 characters of a-z, 0-9 and -");

const secret = z
  .string()
  .refine((text) => readWebhookSecret(text) !== null, "whsec_ followed by 24 to 64 random bytes in base64");

export const createWebhookRequest = z
  .strictObject({
    /** Unique in the organization: what `wait_for` waits for. */
    name,
    /** Made by the server unless given. */
    secret: z.exactOptional(secret),
  })
  .meta({ id: "CreateWebhookRequest" });
export type CreateWebhookRequest = z.infer<typeof createWebhookRequest>;

export const rotateWebhookRequest = z
  .strictObject({ secret: z.exactOptional(secret) })
  .meta({ id: "RotateWebhookRequest" });
export type RotateWebhookRequest = z.infer<typeof rotateWebhookRequest>;

const webhookFields = {
  id: z.string(),
  type: z.literal("webhook"),
  name: z.string(),
  /** Where deliveries are posted, below the server's address. */
  path: z.string(),
  created_at: timestamp,
  secret_changed_at: timestamp,
};

export const webhook = z.object(webhookFields).meta({ id: "Webhook" });
export type Webhook = z.infer<typeof webhook>;

/** The only answers that show the secret. */
export const webhookWithSecret = z.object({ ...webhookFields, secret: z.string() }).meta({ id: "WebhookWithSecret" });
export type WebhookWithSecret = z.infer<typeof webhookWithSecret>;

export const webhookPage = pageOf(webhook).meta({ id: "WebhookPage" });
export const webhookDeletion = deletionOf("webhook_deleted").meta({ id: "WebhookDeletion" });

export const webhookDelivery = z
  .object({ id: z.string(), type: z.literal("webhook_delivery") })
  .meta({ id: "WebhookDelivery" });
export type WebhookDelivery = z.infer<typeof webhookDelivery>;

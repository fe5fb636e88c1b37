/** Webhooks of an organization. A secret leaves here twice at most: when it is made, and when it is changed. @module */
import { randomBytes } from "node:crypto";
import { createId } from "@exoloop/protocol/ids";
import { readWebhookSecret, writeWebhookSecret } from "@exoloop/protocol/webhook-signatures";
import type { CreateWebhookRequest, Webhook, WebhookWithSecret } from "@exoloop/protocol/webhooks";
import { sql, type Transaction } from "kysely";
import { type ListPage, type ListQuery, listCondition, listPage, positionColumn, readOrder } from "../agents/list.ts";
import type { Database } from "../db/database.ts";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";

/** Webhooks of one organization at a time: another organization's webhook is `not_found`. */
export interface WebhookRepository {
  /** @throws Problem `name_taken` */
  create(organizationId: string, request: CreateWebhookRequest): Promise<WebhookWithSecret>;
  /** @throws Problem `not_found` */
  get(organizationId: string, webhookId: string): Promise<Webhook>;
  list(organizationId: string, query: ListQuery): Promise<ListPage<Webhook>>;
  /** The secret before it is worth nothing at once. @throws Problem `not_found` */
  rotate(organizationId: string, webhookId: string, secret: string | undefined): Promise<WebhookWithSecret>;
  /** Whoever waits for it is told. @throws Problem `not_found` */
  delete(organizationId: string, webhookId: string): Promise<void>;
}

interface WebhookRow {
  readonly id: string;
  readonly name: string;
  readonly created_at: Date;
  readonly secret_changed_at: Date;
}

/** Never `selectAll`: the secret stays where it is. */
const shownColumns = ["id", "name", "created_at", "secret_changed_at"] as const;

function toWebhook(row: WebhookRow): Webhook {
  return {
    id: row.id,
    type: "webhook",
    name: row.name,
    path: `/v1/x/webhooks/${row.id}/deliveries`,
    created_at: row.created_at.toISOString(),
    secret_changed_at: row.secret_changed_at.toISOString(),
  };
}

export function webhookNotFound(): Problem {
  return new Problem(
    "not_found",
    "There is no webhook with the id in this path.",
    "List webhooks with GET /v1/x/webhooks.",
  );
}

/** The request has been checked: a given secret has the right form. */
function secretOf(given: string | undefined): { readonly text: string; readonly key: Buffer } {
  const text = given ?? writeWebhookSecret(randomBytes(32));
  const key = readWebhookSecret(text);
  if (key === null) throw new Problem("invalid_request", "secret: not whsec_ followed by 24 to 64 bytes in base64.");
  return { text, key: Buffer.from(key) };
}

/** @example const webhooks = createWebhookRepository(database, engine); */
export function createWebhookRepository(database: Database, engine: Engine): WebhookRepository {
  return {
    async create(organizationId, request) {
      const secret = secretOf(request.secret);
      const row = await database
        .insertInto("webhooks")
        .values({ id: createId("webhook"), organization_id: organizationId, name: request.name, secret: secret.key })
        .onConflict((conflict) => conflict.columns(["organization_id", "name"]).doNothing())
        .returning(shownColumns)
        .executeTakeFirst();
      if (row !== undefined) return { ...toWebhook(row), secret: secret.text };
      throw new Problem(
        "name_taken",
        `name: there is a webhook with the name ${request.name}.`,
        "Choose another name, or change that one's secret.",
      );
    },
    async get(organizationId, webhookId) {
      const row = await database
        .selectFrom("webhooks")
        .select(shownColumns)
        .where("organization_id", "=", organizationId)
        .where("id", "=", webhookId)
        .executeTakeFirst();
      if (row === undefined) throw webhookNotFound();
      return toWebhook(row);
    },
    list: (organizationId, query) => listWebhooks(database, organizationId, query),
    async rotate(organizationId, webhookId, given) {
      const secret = secretOf(given);
      const row = await database
        .updateTable("webhooks")
        .set({ secret: secret.key, secret_changed_at: sql<Date>`now()` })
        .where("organization_id", "=", organizationId)
        .where("id", "=", webhookId)
        .returning(shownColumns)
        .executeTakeFirst();
      if (row === undefined) throw webhookNotFound();
      return { ...toWebhook(row), secret: secret.text };
    },
    delete: (organizationId, webhookId) =>
      database
        .transaction()
        .execute((transaction) => deleteWebhook(transaction, engine, { organizationId, webhookId })),
  };
}

async function listWebhooks(database: Database, organizationId: string, query: ListQuery): Promise<ListPage<Webhook>> {
  const rows = await database
    .selectFrom("webhooks")
    .select(shownColumns)
    .select(positionColumn.as("list_position"))
    .where("organization_id", "=", organizationId)
    // They are deleted, never archived.
    .where(listCondition({ ...query, includeArchived: true }))
    .orderBy("created_at", readOrder(query))
    .orderBy("id", readOrder(query))
    .limit(query.limit + 1)
    .execute();
  const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...page, rows: page.rows.map(toWebhook) };
}

/** Takes no lock of those that wait: their own turns find that it is gone. */
async function deleteWebhook(
  transaction: Transaction<Tables>,
  engine: Engine,
  { organizationId, webhookId }: { readonly organizationId: string; readonly webhookId: string },
): Promise<void> {
  const row = await transaction
    .deleteFrom("webhooks")
    .where("organization_id", "=", organizationId)
    .where("id", "=", webhookId)
    .returning("name")
    .executeTakeFirst();
  if (row === undefined) throw webhookNotFound();
  const waiters = await transaction
    .selectFrom("session_waits")
    .select("session_id")
    .distinct()
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "webhook")
    .where("target", "=", row.name)
    .execute();
  for (const { session_id } of waiters) await engine.wakeAt(session_id, new Date(), transaction);
}

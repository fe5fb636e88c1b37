/**
 * A delivery: verified, stored, given to every session that waits for it. Each session is woken in a transaction of its
 * own; what a crash leaves undone is found by the mark `pending` and done by the next look.
 * @module
 */
import { recordEvent } from "../sessions/event.ts";
import { writeContent } from "../sessions/content.ts";
import { appendUnderLock } from "../sessions/log.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import { endWaits } from "../sessions/waits.ts";
import type { Database } from "../db/database.ts";
import type { Engine } from "../engine/engine.ts";
import { Problem } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { describeDelivery } from "./delivery-content.ts";
import { deliveryKey, findDelivery } from "./stored-deliveries.ts";
import { readDeliveryHead, verifyDelivery } from "./verify-delivery.ts";
import { webhookNotFound } from "./webhooks.ts";

export interface WebhookDependencies {
  readonly database: Database;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  readonly log: Logger;
}

export interface WebhookReceiver {
  /**
   * Takes a delivery. The same id twice is one delivery.
   * @param readBody is called when the headers are in order.
   * @throws Problem `not_found`, `invalid_signature`, `rate_limited`; nothing was stored.
   */
  receive(webhookId: string, headers: Headers, readBody: () => Promise<Uint8Array>): Promise<{ readonly id: string }>;
}

interface Delivery {
  readonly webhookId: string;
  readonly deliveryId: string;
  readonly organizationId: string;
  readonly name: string;
}

export function createWebhookReceiver(dependencies: WebhookDependencies): WebhookReceiver {
  const { database, log } = dependencies;
  return {
    async receive(webhookId, headers, readBody) {
      const webhook = await database
        .selectFrom("webhooks")
        .select(["organization_id", "name", "secret"])
        .where("id", "=", webhookId)
        .executeTakeFirst();
      if (webhook === undefined) throw webhookNotFound();
      const head = readDeliveryHead(headers, Date.now());
      const payload = await readBody();
      await verifyDelivery(webhook.secret, head, payload);
      await refuseTooMany(database, webhookId);
      const delivery = { webhookId, deliveryId: head.id, organizationId: webhook.organization_id, name: webhook.name };
      if (await store(database, delivery, payload)) {
        // It is stored: a failure from here on delays it, and must not make the sender send it again.
        await give(dependencies, delivery).catch((error: unknown) =>
          log.warn(
            { error, webhook: webhookId },
            "a delivery is not given to all who wait, and will be looked at again",
          ),
        );
      }
      return { id: head.id };
    },
  };
}

/** Of one webhook, within a day. */
const maximumDeliveries = 10_000;

/** @throws Problem `rate_limited` */
async function refuseTooMany(database: Database, webhookId: string): Promise<void> {
  const last = await database
    .selectFrom("webhook_deliveries")
    .select("received_at")
    .where("webhook_id", "=", webhookId)
    .orderBy("received_at", "desc")
    .offset(maximumDeliveries - 1)
    .limit(1)
    .executeTakeFirst();
  if (last === undefined) return;
  throw new Problem(
    "rate_limited",
    `This webhook has taken ${maximumDeliveries} deliveries within a day, and takes no more.`,
    "Deliver less often, or to several webhooks.",
  );
}

/** False for one that has come before, or whose webhook was deleted meanwhile. */
async function store(
  database: Database,
  { webhookId, deliveryId, organizationId }: Delivery,
  payload: Uint8Array,
): Promise<boolean> {
  const result = await database
    .insertInto("webhook_deliveries")
    .columns(["webhook_id", "delivery_id", "organization_id", "payload"])
    .expression((expression) =>
      expression
        .selectFrom("webhooks")
        .select(({ val }) => [
          "id",
          val(deliveryId).as("delivery_id"),
          val(organizationId).as("organization_id"),
          val(Buffer.from(payload)).as("payload"),
        ])
        .where("id", "=", webhookId),
    )
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
}

/** To all who wait now. Whoever begins to wait later looks for it itself. */
async function give(dependencies: WebhookDependencies, delivery: Delivery): Promise<void> {
  const { database } = dependencies;
  const waiters = await database
    .selectFrom("session_waits")
    .select("session_id")
    .distinct()
    .where("organization_id", "=", delivery.organizationId)
    .where("kind", "=", "webhook")
    .where("target", "=", delivery.name)
    .orderBy("session_id")
    .execute();
  for (const { session_id } of waiters) await giveTo(dependencies, session_id, delivery);
  await database
    .updateTable("webhook_deliveries")
    .set({ status: "done" })
    .where("webhook_id", "=", delivery.webhookId)
    .where("delivery_id", "=", delivery.deliveryId)
    .execute();
}

/** One transaction under the session's row lock: the result enters the log, the wait is over, a turn is asked for. */
async function giveTo(
  { database, engine, notices }: WebhookDependencies,
  sessionId: string,
  delivery: Delivery,
): Promise<void> {
  const { organizationId, name } = delivery;
  const seq = await database.transaction().execute(async (transaction) => {
    const session = await transaction
      .selectFrom("sessions")
      .select(["status", "archived_at"])
      .where("id", "=", sessionId)
      .forUpdate()
      .executeTakeFirst();
    if (session === undefined || session.archived_at !== null || session.status === "terminated") return null;
    const waits = await transaction
      .selectFrom("session_waits")
      .select("tool_use_id")
      .where("session_id", "=", sessionId)
      .where("kind", "=", "webhook")
      .where("target", "=", name)
      .orderBy("tool_use_id")
      .execute();
    const calls = waits.map((row) => row.tool_use_id);
    const key = deliveryKey(delivery);
    const found = calls.length === 0 ? null : await findDelivery(transaction, { sessionId, organizationId }, name, key);
    if (found === null) return null;
    const { content, isError } = describeDelivery(found);
    const shown = { content: writeContent(content), is_error: isError, delivery: key };
    const records = calls.map((toolUseId) => recordEvent("x.wait_ended", { tool_use_id: toolUseId, ...shown }));
    const events = await appendUnderLock(transaction, sessionId, records);
    await endWaits(transaction, sessionId, calls);
    await engine.wake(sessionId, transaction);
    return events.at(-1)?.seq ?? null;
  });
  if (seq !== null) notices.publish({ type: "appended", sessionId, seq });
}

const deliveriesAtATime = 100;

/**
 * Deliveries that somebody began to give and did not end: their process was lost, or the database was away.
 * @example engine.every("webhook deliveries", 15_000, (signal) => finishDeliveries(dependencies, signal));
 */
export async function finishDeliveries(dependencies: WebhookDependencies, signal: AbortSignal): Promise<void> {
  const { database, log } = dependencies;
  const pending = await database
    .selectFrom("webhook_deliveries as delivery")
    .innerJoin("webhooks as webhook", "webhook.id", "delivery.webhook_id")
    .select(["delivery.webhook_id", "delivery.delivery_id", "delivery.organization_id", "webhook.name"])
    .where("delivery.status", "=", "pending")
    // Younger ones are still being given by whoever received them. Twice would do no harm.
    .where("delivery.received_at", "<", new Date(Date.now() - 5_000))
    .orderBy("delivery.received_at")
    .limit(deliveriesAtATime)
    .execute();
  for (const row of pending) {
    if (signal.aborted) return;
    const delivery = {
      webhookId: row.webhook_id,
      deliveryId: row.delivery_id,
      organizationId: row.organization_id,
      name: row.name,
    };
    await give(dependencies, delivery).catch((error: unknown) =>
      log.warn({ error, webhook: row.webhook_id }, "a delivery is not given to all who wait"),
    );
  }
}

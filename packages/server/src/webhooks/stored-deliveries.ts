/**
 * Which stored deliveries belong to a session: those of the exchange that it is in, each once. One that came before the
 * model began to wait is not lost, and one that was meant for an earlier exchange is not mistaken for news.
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { ShownDelivery } from "./delivery-content.ts";

export interface Waiter {
  readonly sessionId: string;
  readonly organizationId: string;
}

export interface StoredDelivery extends ShownDelivery {
  readonly webhookId: string;
}

/** How the log names a delivery that was given to the session. */
export function deliveryKey({ webhookId, deliveryId }: Pick<StoredDelivery, "webhookId" | "deliveryId">): string {
  return `${webhookId}/${deliveryId}`;
}

/** The exchange begins with the first message after the session was last at rest; approvals and budgets are within it. */
const exchange = (sessionId: string) => sql`
  select coalesce(min(seq), 0) as seq, coalesce(min(created_at), '-infinity') as began_at
  from session_events
  where session_id = ${sessionId} and type in ('user.message', 'user.define_outcome') and seq > coalesce((
    select max(seq) from session_events
    where session_id = ${sessionId} and type = 'session.status_idle'
      and data->'stop_reason'->>'type' not in ('requires_action', 'budget_reached')
  ), 0)`;

/** The oldest one that the session's exchange has not been given; with `only`, whether it is that one. Only looks. */
export async function findDelivery(
  database: Kysely<Tables>,
  { sessionId, organizationId }: Waiter,
  name: string,
  only: string | null = null,
): Promise<StoredDelivery | null> {
  const { rows } = await sql<{ webhook_id: string; delivery_id: string; payload: Buffer; received_at: Date }>`
    with exchange as (${exchange(sessionId)})
    select delivery.webhook_id, delivery.delivery_id, delivery.payload, delivery.received_at
    from webhook_deliveries delivery
    join webhooks webhook on webhook.id = delivery.webhook_id
    cross join exchange
    where webhook.organization_id = ${organizationId} and webhook.name = ${name}
      and (${only}::text is null or delivery.webhook_id || '/' || delivery.delivery_id = ${only})
      and delivery.received_at >= exchange.began_at
      and not exists (
        select from session_events given
        where given.session_id = ${sessionId} and given.seq > exchange.seq
          and given.type in ('x.wait_ended', 'agent.tool_result')
          and given.record->>'delivery' = delivery.webhook_id || '/' || delivery.delivery_id
      )
    order by delivery.received_at, delivery.delivery_id
    limit 1`.execute(database);
  const row = rows[0];
  if (row === undefined) return null;
  return {
    name,
    webhookId: row.webhook_id,
    deliveryId: row.delivery_id,
    payload: row.payload,
    receivedAt: row.received_at,
  };
}

export async function webhookExists(database: Kysely<Tables>, organizationId: string, name: string): Promise<boolean> {
  const row = await database
    .selectFrom("webhooks")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("name", "=", name)
    .executeTakeFirst();
  return row !== undefined;
}

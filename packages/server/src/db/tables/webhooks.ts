/** Webhooks and what was delivered to them. @module */
import type { ColumnType } from "kysely";

type Timestamp = ColumnType<Date, Date | undefined, Date>;

export interface WebhookTable {
  id: string;
  organization_id: string;
  name: string;
  secret: Buffer;
  created_at: Timestamp;
  secret_changed_at: Timestamp;
}

export interface WebhookDeliveryTable {
  webhook_id: string;
  delivery_id: string;
  organization_id: string;
  payload: Buffer;
  received_at: Timestamp;
  status: ColumnType<"pending" | "done", "pending" | "done" | undefined, "pending" | "done">;
}

export interface WebhookTables {
  webhooks: WebhookTable;
  webhook_deliveries: WebhookDeliveryTable;
}

/** The log as the API shows it. `processed_at` of input is derived: it is the instant at which it was consumed. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";

export interface HistoryEvent {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  /** Null while input waits in the inbox. */
  readonly processedAt: Date | null;
}

export interface HistoryQuery {
  /** Exclusive. */
  readonly after?: number;
  /** Exclusive. */
  readonly before?: number;
  readonly order: "asc" | "desc";
  readonly limit: number;
  readonly types?: readonly string[];
  readonly processed?: {
    readonly gt?: Date;
    readonly gte?: Date;
    readonly lt?: Date;
    readonly lte?: Date;
  };
  readonly ids?: readonly string[];
}

/** Public events of a session; the caller has checked that the principal may see it. */
export async function readHistory(
  database: Kysely<Tables>,
  sessionId: string,
  query: HistoryQuery,
): Promise<readonly HistoryEvent[]> {
  const processedAt = sql<Date | null>`case when event.type like 'user.%' and event.type <> 'user.define_outcome' then (
      select consumed.created_at from session_events consumed
      where consumed.session_id = event.session_id and consumed.type = 'x.consumed'
        and consumed.seq > event.seq and consumed.record->'event_ids' ? event.id
      limit 1
    ) else event.created_at end`;
  let select = database
    .selectFrom("session_events as event")
    .select(["event.seq", "event.id", "event.type", "event.data", "event.created_at"])
    .select(processedAt.as("processed_at"))
    .where("event.session_id", "=", sessionId)
    .where("event.data", "is not", null);
  if (query.after !== undefined) select = select.where("event.seq", ">", query.after);
  if (query.before !== undefined) select = select.where("event.seq", "<", query.before);
  if (query.types !== undefined) select = select.where("event.type", "in", [...query.types]);
  if (query.ids !== undefined) select = select.where("event.id", "in", [...query.ids]);
  const { gt, gte, lt, lte } = query.processed ?? {};
  if (gt !== undefined) select = select.where(processedAt, ">", gt);
  if (gte !== undefined) select = select.where(processedAt, ">=", gte);
  if (lt !== undefined) select = select.where(processedAt, "<", lt);
  if (lte !== undefined) select = select.where(processedAt, "<=", lte);
  const rows = await select.orderBy("event.seq", query.order).limit(query.limit).execute();
  return rows.map((row) => ({
    seq: Number(row.seq),
    id: row.id,
    type: row.type,
    data: row.data ?? {},
    createdAt: row.created_at,
    processedAt: row.processed_at,
  }));
}

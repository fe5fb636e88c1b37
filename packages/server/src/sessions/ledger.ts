/**
 * The ledger: what organizations and users have used, by day, written in the transaction of the events that say so. A
 * crash leaves both or neither.
 * @module
 */
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Charge } from "./charge.ts";

const shards = 16;

/** Sessions of one organization write to so many rows, or they would all wait for one lock. */
function shardOf(sessionId: string): number {
  return (sessionId.codePointAt(sessionId.length - 1) ?? 0) % shards;
}

/**
 * Adds a charge, for the session that the common table expression `session` holds.
 * @param first Number of the first event of the append: spans of running begin before it.
 */
export function ledgerRows(sessionId: string, charge: Charge, first: RawBuilder<unknown>) {
  // A thread runs while its parent does: its time is counted there.
  const running = charge.endsRunning
    ? sql`coalesce((
        select case when began.type = 'session.status_running' and session.parent_session_id is null
          then greatest(0, floor(extract(epoch from now()) * 1000) - floor(extract(epoch from began.created_at) * 1000))
          else 0 end
        from session_events as began
        where began.session_id = session.id and began.seq < ${first} and began.type in
          ('session.status_running', 'session.status_rescheduled', 'session.status_idle', 'session.status_terminated')
        order by began.seq desc limit 1), 0)`
    : sql`0`;
  // Two rows in one order: writers of two sessions never wait for each other crosswise.
  return sql`
    insert into usage_totals (organization_id, scope, subject, period_start, shard, input_tokens, output_tokens,
      cache_read_tokens, cache_write_tokens, cost_micros, steps, sandbox_ms, running_ms)
    select session.organization_id, payer.scope, payer.subject, (now() at time zone 'utc')::date, ${shardOf(sessionId)}::int,
           ${charge.inputTokens}::bigint, ${charge.outputTokens}::bigint, ${charge.cacheReadTokens}::bigint,
           ${charge.cacheWriteTokens}::bigint, ${charge.costMicros}::bigint, ${charge.steps}::bigint,
           ${Math.round(charge.sandboxMs)}::bigint, used.running_ms
    from session,
      lateral (select ${running} as running_ms) as used,
      lateral (values ('organization', session.organization_id), ('user', session.created_by)) as payer(scope, subject)
    where payer.subject is not null
    order by payer.scope
    on conflict (organization_id, scope, subject, period_start, shard) do update set
      input_tokens = usage_totals.input_tokens + excluded.input_tokens,
      output_tokens = usage_totals.output_tokens + excluded.output_tokens,
      cache_read_tokens = usage_totals.cache_read_tokens + excluded.cache_read_tokens,
      cache_write_tokens = usage_totals.cache_write_tokens + excluded.cache_write_tokens,
      cost_micros = usage_totals.cost_micros + excluded.cost_micros,
      steps = usage_totals.steps + excluded.steps,
      sandbox_ms = usage_totals.sandbox_ms + excluded.sandbox_ms,
      running_ms = usage_totals.running_ms + excluded.running_ms`;
}

/**
 * The same in a statement of its own: the last of its transaction. Rows of the ledger are locked after every row of a
 * session, so that two transactions never hold each other up.
 */
export async function chargeLedger(
  transaction: Kysely<Tables>,
  sessionId: string,
  charge: Charge,
  firstSeq: number,
): Promise<void> {
  await sql`
    with session as (
      select id, organization_id, created_by, parent_session_id from sessions where id = ${sessionId}
    )
    ${ledgerRows(sessionId, charge, sql`${firstSeq}::bigint`)}`.execute(transaction);
}

/** Usage and time of sessions, read from their logs. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";

export interface SessionFigures {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens: number;
  readonly cacheCreationInputTokens: number;
  /** Seconds between a change to running and the next change of status, or now. */
  readonly activeSeconds: number;
}

export const noFigures: SessionFigures = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadInputTokens: 0,
  cacheCreationInputTokens: 0,
  activeSeconds: 0,
};

/** Figures by session id; a session without events is absent. */
export async function readFigures(
  database: Kysely<Tables>,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, SessionFigures>> {
  if (sessionIds.length === 0) return new Map();
  const result = await sql<{
    session_id: string;
    input: number;
    output: number;
    cache_read: number;
    cache_write: number;
    active: number;
  }>`
    with events as (
      select session_id, seq, type, created_at, data->'model_usage' as usage
      from session_events
      where session_id = any(${sessionIds}::text[])
        and type in ('span.model_request_end', 'session.status_running', 'session.status_idle',
                     'session.status_rescheduled', 'session.status_terminated')
    ), spans as (
      select session_id, type, created_at,
             lead(created_at, 1, now()) over (partition by session_id order by seq) as until
      from events where type <> 'span.model_request_end'
    ), active as (
      select session_id, sum(extract(epoch from until - created_at)) as seconds
      from spans where type = 'session.status_running' group by session_id
    )
    select events.session_id,
      coalesce(sum((usage->>'input_tokens')::float8), 0) as input,
      coalesce(sum((usage->>'output_tokens')::float8), 0) as output,
      coalesce(sum((usage->>'cache_read_input_tokens')::float8), 0) as cache_read,
      coalesce(sum((usage->>'cache_creation_input_tokens')::float8), 0) as cache_write,
      coalesce(max(active.seconds), 0)::float8 as active
    from events left join active on active.session_id = events.session_id
    group by events.session_id`.execute(database);
  return new Map(
    result.rows.map((row) => [
      row.session_id,
      {
        inputTokens: row.input,
        outputTokens: row.output,
        cacheReadInputTokens: row.cache_read,
        cacheCreationInputTokens: row.cache_write,
        activeSeconds: Math.round(row.active * 1000) / 1000,
      },
    ]),
  );
}

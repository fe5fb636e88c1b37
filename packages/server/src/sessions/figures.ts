/** Usage and time of sessions, read from their logs: what `reduce` would sum, without reading the logs whole. @module */
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import { initialState, type Usage } from "./state.ts";

export const noFigures: Usage = initialState.usage;

interface FiguresRow {
  session_id: string;
  input: number;
  output: number;
  cache_read: number;
  cache_write: number;
  cost: number;
  steps: number;
  sandbox: number;
  active: number;
}

/** By session id, the span of running that is open counted up to now; a session without events is absent. */
export async function readFigures(
  database: Kysely<Tables>,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, Usage>> {
  if (sessionIds.length === 0) return new Map();
  const result = await sql<FiguresRow>`
    with events as (
      -- Results are not unpacked: they may be long.
      select session_id, seq, type, created_at, record,
             case when type = 'span.model_request_end' then data->'model_usage' end as usage
      from session_events
      where session_id = any(${sessionIds}::text[])
        and type in ('span.model_request_end', 'agent.tool_result', 'x.thread_settled', 'x.sandbox_awake',
                     'session.status_running', 'session.status_idle', 'session.status_rescheduled',
                     'session.status_terminated')
    ), spans as (
      select session_id, type, created_at,
             lead(created_at, 1, now()) over (partition by session_id order by seq) as until
      from events where type like 'session.status%'
    ), active as (
      select session_id, sum(extract(epoch from until - created_at)) as seconds
      from spans where type = 'session.status_running' group by session_id
    ), used as (
      -- One of the two forms is in each row: of an own call, or of what a thread used.
      select session_id,
        coalesce((usage->>'input_tokens')::float8, (record->>'input_tokens')::float8, 0) as input,
        coalesce((usage->>'output_tokens')::float8, (record->>'output_tokens')::float8, 0) as output,
        coalesce((usage->>'cache_read_input_tokens')::float8, (record->>'cache_read_tokens')::float8, 0) as cache_read,
        coalesce((usage->>'cache_creation_input_tokens')::float8, (record->>'cache_write_tokens')::float8, 0) as cache_write,
        coalesce((record->>'cost_micros')::float8, 0) as cost,
        case when type in ('span.model_request_end', 'agent.tool_result') then 1
             else coalesce((record->>'steps')::float8, 0) end as steps,
        coalesce((record->>'sandbox_awake_ms')::float8, 0) as sandbox
      from events where type not like 'session.status%'
    ), sums as (
      select session_id, sum(input) as input, sum(output) as output, sum(cache_read) as cache_read,
             sum(cache_write) as cache_write, sum(cost) as cost, sum(steps) as steps, sum(sandbox) as sandbox
      from used group by session_id
    )
    select asked.session_id, coalesce(input, 0) as input, coalesce(output, 0) as output,
      coalesce(cache_read, 0) as cache_read, coalesce(cache_write, 0) as cache_write, coalesce(cost, 0) as cost,
      coalesce(steps, 0) as steps, coalesce(sandbox, 0) as sandbox, coalesce(active.seconds, 0)::float8 as active
    from unnest(${sessionIds}::text[]) as asked(session_id)
      left join sums on sums.session_id = asked.session_id
      left join active on active.session_id = asked.session_id`.execute(database);
  return new Map(result.rows.map((row) => [row.session_id, toUsage(row)]));
}

function toUsage(row: FiguresRow): Usage {
  return {
    input: row.input,
    output: row.output,
    cacheRead: row.cache_read,
    cacheWrite: row.cache_write,
    costMicros: row.cost,
    steps: row.steps,
    runningMs: Math.round(row.active * 1_000),
    runningSince: null,
    sandboxAwakeMs: row.sandbox,
  };
}

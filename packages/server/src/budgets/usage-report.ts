/** Reports of what was used, summed from the ledger. @module */
import type { UsageReport, UsageTotal } from "@exoloop/protocol/budgets";
import { type Kysely, sql } from "kysely";
import type { BudgetPeriod, BudgetScope } from "../db/tables/budgets.ts";
import type { Tables } from "../db/tables.ts";

export interface UsageQuery {
  readonly period: BudgetPeriod;
  readonly scope?: BudgetScope | undefined;
  readonly subject?: string | undefined;
  /** First and last day, as `YYYY-MM-DD`. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

const maximumRows = 10_000;

interface TotalRow {
  scope: BudgetScope;
  subject: string;
  start: string;
  input: number;
  output: number;
  cache_read: number;
  cache_write: number;
  cost: number;
  steps: number;
  sandbox: number;
  running: number;
}

/** The latest period first. */
export async function readUsageReport(
  database: Kysely<Tables>,
  organizationId: string,
  { period, scope, subject, from, to }: UsageQuery,
): Promise<UsageReport> {
  const start =
    period === "day"
      ? sql`period_start`
      : period === "month"
        ? sql`date_trunc('month', period_start::timestamp)::date`
        : sql`min(period_start)`;
  const grouped = period === "total" ? sql`` : sql`, ${start}`;
  const { rows } = await sql<TotalRow>`
    select scope, subject, to_char(${start}, 'YYYY-MM-DD') as start,
      sum(input_tokens)::float8 as input, sum(output_tokens)::float8 as output,
      sum(cache_read_tokens)::float8 as cache_read, sum(cache_write_tokens)::float8 as cache_write,
      sum(cost_micros)::float8 as cost, sum(steps)::float8 as steps, sum(sandbox_ms)::float8 as sandbox,
      sum(running_ms)::float8 as running
    from usage_totals
    where organization_id = ${organizationId}
      and (${scope ?? null}::text is null or scope = ${scope ?? null}::text)
      and (${subject ?? null}::text is null or subject = ${subject ?? null}::text)
      and period_start between coalesce(${from ?? null}::date, '-infinity') and coalesce(${to ?? null}::date, 'infinity')
    group by scope, subject${grouped}
    order by start desc, scope, subject
    limit ${maximumRows + 1}`.execute(database);
  return {
    data: rows.slice(0, maximumRows).map((row) => writeTotal(row, period)),
    truncated: rows.length > maximumRows,
  };
}

function writeTotal(row: TotalRow, period: BudgetPeriod): UsageTotal {
  return {
    scope: row.scope,
    subject: row.subject,
    period,
    period_start: row.start,
    input_tokens: row.input,
    output_tokens: row.output,
    cache_read_input_tokens: row.cache_read,
    cache_creation_input_tokens: row.cache_write,
    cost_usd: row.cost / 1_000_000,
    steps: row.steps,
    sandbox_seconds: row.sandbox / 1_000,
    running_seconds: row.running / 1_000,
  };
}

const columns = [
  "scope",
  "subject",
  "period",
  "period_start",
  "input_tokens",
  "output_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens",
  "cost_usd",
  "steps",
  "sandbox_seconds",
  "running_seconds",
] as const satisfies readonly (keyof UsageTotal)[];

/** RFC 4180. No value holds a comma or a quote: they are numbers, dates and identifiers of this server. */
export function writeCsv(totals: readonly UsageTotal[]): string {
  const lines = totals.map((total) => columns.map((column) => String(total[column])).join(","));
  return [columns.join(","), ...lines].map((line) => `${line}\r\n`).join("");
}

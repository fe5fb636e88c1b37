/** What the ledger says that organizations and users have used. @module */
import { type Kysely, sql } from "kysely";
import type { BudgetPeriod, BudgetScope } from "../db/tables/budgets.ts";
import type { Tables } from "../db/tables.ts";
import type { BudgetUse } from "../loop/budgets.ts";
import { periodStart } from "./periods.ts";

export interface Payer {
  readonly scope: BudgetScope;
  readonly subject: string;
}

interface UseRow extends Payer {
  tokens: number;
  cost: number;
  running: number;
  steps: number;
  sandbox: number;
}

/** @example useKey({ scope: "user", subject: "key_1" }, "day") */
export function useKey({ scope, subject }: Payer, period: BudgetPeriod): string {
  return `${scope} ${subject} ${period}`;
}

/**
 * The use of each payer in the period of each kind that runs; absent where nothing was used.
 * @param now Milliseconds since the epoch.
 */
export async function readUse(
  database: Kysely<Tables>,
  organizationId: string,
  asked: readonly (Payer & { readonly period: BudgetPeriod })[],
  now: number,
): Promise<ReadonlyMap<string, BudgetUse>> {
  if (asked.length === 0) return new Map();
  const { rows } = await sql<UseRow & { period: BudgetPeriod }>`
    select asked.scope, asked.subject, asked.period,
      sum(input_tokens + output_tokens + cache_read_tokens + cache_write_tokens)::float8 as tokens,
      sum(cost_micros)::float8 as cost, sum(running_ms)::float8 as running, sum(steps)::float8 as steps,
      sum(sandbox_ms)::float8 as sandbox
    from unnest(
      ${asked.map((one) => one.scope)}::text[], ${asked.map((one) => one.subject)}::text[],
      ${asked.map((one) => one.period)}::text[],
      ${asked.map((one) => periodStart(one.period, now) ?? "-infinity")}::date[]
    ) as asked(scope, subject, period, since)
    join usage_totals as used on used.organization_id = ${organizationId} and used.scope = asked.scope
      and used.subject = asked.subject and used.period_start >= asked.since
    group by asked.scope, asked.subject, asked.period`.execute(database);
  return new Map(
    rows.map((row) => [
      useKey(row, row.period),
      {
        tokens: row.tokens,
        costMicros: row.cost,
        wallSeconds: row.running / 1_000,
        steps: row.steps,
        sandboxSeconds: row.sandbox / 1_000,
      },
    ]),
  );
}

export const nothingUsed: BudgetUse = { tokens: 0, costMicros: 0, wallSeconds: 0, steps: 0, sandboxSeconds: 0 };

/** Shared budgets, and what was used, as Kysely sees them. @module */
import type { ColumnType, Generated } from "kysely";
import type { BudgetLimits } from "../../loop/budgets.ts";

export type BudgetScope = "organization" | "user";
export type BudgetPeriod = "day" | "month" | "total";

interface BudgetTable {
  organization_id: string;
  scope: BudgetScope;
  subject: string;
  period: BudgetPeriod;
  limits: ColumnType<BudgetLimits, string, string>;
  created_at: ColumnType<Date, Date | undefined, Date>;
  updated_at: ColumnType<Date, Date | undefined, Date>;
}

interface UsageTotalTable {
  organization_id: string;
  scope: BudgetScope;
  subject: string;
  /** A day of the UTC calendar. */
  period_start: ColumnType<Date, string, string>;
  shard: number;
  input_tokens: Generated<number>;
  output_tokens: Generated<number>;
  cache_read_tokens: Generated<number>;
  cache_write_tokens: Generated<number>;
  cost_micros: Generated<number>;
  steps: Generated<number>;
  sandbox_ms: Generated<number>;
  running_ms: Generated<number>;
}

export interface BudgetTables {
  budgets: BudgetTable;
  usage_totals: UsageTotalTable;
}

/** Budgets: of one session, and, below `/v1/x`, those that sessions share; and what was used. @module */
import { z } from "zod";
import { reference, timestamp } from "./values.ts";

/** Minor units as a decimal string: "2500" is 25 US dollars. */
const monetaryAmount = z.strictObject({
  amount: z.string().regex(/^(0|[1-9]\d{0,11})$/, "must be whole cents in decimal, without leading zeros"),
  currency: z.literal("USD"),
});
export const listCost = z.object(monetaryAmount.shape);

export const budgetLimit = z.strictObject({ type: z.literal("limit"), max_list_cost: monetaryAmount });
export const budgetLimitAnswer = z.object({ type: z.literal("limit"), max_list_cost: listCost });
export type BudgetLimit = z.infer<typeof budgetLimit>;

const countLimit = z.int().min(1);
const secondsLimit = z.number().min(0.001).max(1e9);
const dollarLimit = z.number().min(0.000001).max(1e9);

/** Absent members do not limit. */
export const budgetLimits = z.strictObject({
  tokens: z.exactOptional(countLimit),
  cost_usd: z.exactOptional(dollarLimit),
  wall_seconds: z.exactOptional(secondsLimit),
  steps: z.exactOptional(countLimit),
  sandbox_seconds: z.exactOptional(secondsLimit),
});
export type PublicBudgetLimits = z.infer<typeof budgetLimits>;

/** A number sets a limit, null removes it, an absent member stays. */
export const budgetLimitsPatch = z.strictObject({
  tokens: z.exactOptional(countLimit.nullable()),
  cost_usd: z.exactOptional(dollarLimit.nullable()),
  wall_seconds: z.exactOptional(secondsLimit.nullable()),
  steps: z.exactOptional(countLimit.nullable()),
  sandbox_seconds: z.exactOptional(secondsLimit.nullable()),
});
export type BudgetLimitsPatch = z.infer<typeof budgetLimitsPatch>;

const kinds = ["tokens", "cost_usd", "wall_seconds", "steps", "sandbox_seconds"] as const;
const limitsAnswer = z.object(budgetLimits.shape);
const use = z.object({
  tokens: z.int(),
  cost_usd: z.number(),
  wall_seconds: z.number(),
  steps: z.int(),
  sandbox_seconds: z.number(),
});
const reached = z.object({ kind: z.enum(kinds), limit: z.number(), used: z.number() });

/** A session's own budget: its limits, what it has used, and the limit that is reached. */
export const sessionBudget = z.object({ limits: limitsAnswer, used: use, reached: reached.nullable() });

/** Why a session rests. */
export const budgetReached = reached.extend({
  scope: z.enum(["session", "user", "organization"]),
  /** When a shared budget begins anew; null where it never does. */
  resets_at: timestamp.nullable(),
});

const scope = z.enum(["organization", "user"]);
const period = z.enum(["day", "month", "total"]);
const budgetName = {
  scope,
  /** Of the scope user: who, or `*` for each user without a budget of their own. The organization needs none. */
  subject: z.exactOptional(reference),
  /** Of the UTC calendar; `total` never begins anew. */
  period,
};

export const putBudgetRequest = z
  .strictObject({ ...budgetName, limits: budgetLimits })
  .meta({ id: "PutBudgetRequest" });
export type PutBudgetRequest = z.infer<typeof putBudgetRequest>;
export const budgetQuery = z.strictObject(budgetName);
export type BudgetName = z.infer<typeof budgetQuery>;

export const budget = z
  .object({
    type: z.literal("budget"),
    scope,
    subject: z.string(),
    period,
    limits: limitsAnswer,
    /** In the period that runs; null for `*`, which is counted for each user apart. */
    used: use.nullable(),
    reached: reached.nullable(),
    resets_at: timestamp.nullable(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "Budget" });
export type Budget = z.infer<typeof budget>;
export const budgetList = z.object({ data: z.array(budget) }).meta({ id: "BudgetList" });
export const budgetDeletion = z
  .object({ type: z.literal("budget_deleted"), scope, subject: z.string(), period })
  .meta({ id: "BudgetDeletion" });
export type BudgetDeletion = z.infer<typeof budgetDeletion>;

export const usageTotal = z.object({
  scope,
  subject: z.string(),
  period,
  /** The first day of the period; of `total` the first day on which anything was used. */
  period_start: z.iso.date(),
  input_tokens: z.int(),
  output_tokens: z.int(),
  cache_read_input_tokens: z.int(),
  cache_creation_input_tokens: z.int(),
  cost_usd: z.number(),
  steps: z.int(),
  sandbox_seconds: z.number(),
  running_seconds: z.number(),
});
export type UsageTotal = z.infer<typeof usageTotal>;
export const usageReport = z
  .object({
    data: z.array(usageTotal),
    /** There is more than is shown: ask for fewer days, one scope or one subject. */
    truncated: z.boolean(),
  })
  .meta({ id: "UsageReport" });
export type UsageReport = z.infer<typeof usageReport>;
export const usageFilters = {
  period: period.optional(),
  scope: scope.optional(),
  subject: reference.optional(),
  /** First and last day, of the UTC calendar. */
  from: z.iso.date().optional(),
  to: z.iso.date().optional(),
};

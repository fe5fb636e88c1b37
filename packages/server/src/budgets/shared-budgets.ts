/**
 * Budgets that sessions share, as the loop asks for them: before every step, so answers are remembered for a second.
 * A budget may be overshot: by what is used within that second, by the step that each session has under way, and by its
 * last result, which is written together with the next intent.
 * @module
 */
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { type BudgetReached, reachedLimit } from "../loop/budgets.ts";
import type { Claim } from "../sessions/log.ts";
import { nextPeriod } from "./periods.ts";
import { nothingUsed, readUse, useKey } from "./use.ts";

/** The subject of a budget that every user has who has none of their own. */
export const everyUser = "*";

export type SharedBudget = (claim: Claim) => Promise<BudgetReached | null>;

export interface SharedBudgetOptions {
  readonly rememberMs?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Organizations and users whose answers are remembered. */
const maximumRemembered = 10_000;

/** An organization without budgets costs no query of its own: one a second asks who has any. */
export function createSharedBudget(
  database: Kysely<Tables>,
  { rememberMs = 1_000, now = Date.now }: SharedBudgetOptions = {},
): SharedBudget {
  const organizations = remember(rememberMs, now, async (_all: string) => {
    const rows = await database.selectFrom("budgets").select("organization_id").distinct().execute();
    return new Set(rows.map((row) => row.organization_id));
  });
  const answers = remember(rememberMs, now, (key: string) => {
    const [organizationId = "", createdBy = ""] = key.split(" ");
    return readReached(database, organizationId, createdBy === "" ? null : createdBy, now());
  });
  return async ({ organizationId, createdBy }) => {
    if (!(await organizations("")).has(organizationId)) return null;
    return answers(`${organizationId} ${createdBy ?? ""}`);
  };
}

/** Asked again for the same key within the time, it gives the same answer; a failure is not remembered. */
function remember<Answer>(milliseconds: number, now: () => number, ask: (key: string) => Promise<Answer>) {
  const known = new Map<string, { readonly until: number; readonly answer: Promise<Answer> }>();
  return (key: string): Promise<Answer> => {
    const found = known.get(key);
    if (found !== undefined && found.until > now()) return found.answer;
    known.delete(key);
    const answer = ask(key);
    known.set(key, { until: now() + milliseconds, answer });
    answer.catch(() => known.delete(key));
    const oldest = known.keys().next();
    if (known.size > maximumRemembered && oldest.done !== true) known.delete(oldest.value);
    return answer;
  };
}

/** Of several that are reached, the one that lasts longest: the session need not look before it begins anew. */
async function readReached(
  database: Kysely<Tables>,
  organizationId: string,
  createdBy: string | null,
  now: number,
): Promise<BudgetReached | null> {
  const rows = await database
    .selectFrom("budgets")
    .select(["scope", "subject", "period", "limits"])
    .where("organization_id", "=", organizationId)
    .where((expression) =>
      expression.or([
        expression("scope", "=", "organization"),
        expression("subject", "in", [createdBy ?? "", everyUser]),
      ]),
    )
    .execute();
  const own = new Set(rows.filter((row) => row.scope === "user" && row.subject === createdBy).map((row) => row.period));
  const budgets = rows.flatMap((row) => {
    if (row.scope === "organization") return [row];
    if (createdBy === null || (row.subject === everyUser && own.has(row.period))) return [];
    return [{ ...row, subject: createdBy }];
  });
  const used = await readUse(database, organizationId, budgets, now);
  const reached = budgets.flatMap((budget): BudgetReached[] => {
    const limit = reachedLimit(used.get(useKey(budget, budget.period)) ?? nothingUsed, budget.limits);
    if (limit === null) return [];
    const resetsAt = nextPeriod(budget.period, now);
    return [{ scope: budget.scope, ...limit, ...(resetsAt === null ? {} : { resetsAt }) }];
  });
  const lasting = (one: BudgetReached) => one.resetsAt ?? Number.POSITIVE_INFINITY;
  return reached.reduce<BudgetReached | null>(
    (longest, one) => (longest === null || lasting(one) > lasting(longest) ? one : longest),
    null,
  );
}

/**
 * A session's own budget, as the API sets it. Money has two doors: the shared API's `budget`, with the shared API's
 * rules, and `x_exoloop.budget`, which may be set at any time.
 * @module
 */
import type { BudgetLimit } from "@exoloop/protocol/budgets";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import {
  type BudgetKind,
  budgetKinds,
  type BudgetLimits,
  publicKinds,
  publicLimits,
  publicReached,
  publicUse,
  reachedLimit,
  readLimits,
  usedOf,
} from "../loop/budgets.ts";
import { modelsOf, rosterOf } from "../loop/context.ts";
import { readLog } from "./log.ts";
import type { BudgetInput, BudgetPatch, SessionRow } from "./port.ts";
import { reduceLog } from "./reduce.ts";

const microsPerCent = 10_000;

/** @throws Problem `invalid_request` */
export function readNewBudget({ budget, limits = {} }: BudgetInput): BudgetLimits {
  if (budget !== undefined && limits.cost_usd !== undefined) throw saidTwice();
  return { ...readLimits(limits), ...(budget === undefined ? {} : { costMicros: readMoney(budget) }) };
}

function readMoney(budget: BudgetLimit): number {
  const micros = Number(budget.max_list_cost.amount) * microsPerCent;
  if (micros > 0) return micros;
  throw new Problem("invalid_request", "budget.max_list_cost.amount: must be at least one cent.");
}

function saidTwice(): Problem {
  return new Problem(
    "invalid_request",
    "x_exoloop.budget.cost_usd: budget.max_list_cost says it already.",
    "Send one of the two.",
  );
}

/**
 * The budget after an update; null when nothing changes. The caller holds the session's row lock: what the session has
 * used is read from its log, and cannot grow meanwhile.
 * @throws Problem `budget_create_only`, `budget_not_raised`, `invalid_request`
 */
export async function changedBudget(
  database: Kysely<Tables>,
  sessionId: string,
  current: BudgetLimits,
  patch: BudgetPatch,
): Promise<BudgetLimits | null> {
  const wanted = patchedBudget(current, patch);
  const changed = budgetKinds.filter((kind) => wanted[kind] !== current[kind]);
  const limited = changed.filter((kind) => wanted[kind] !== undefined);
  if (limited.length > 0) {
    const { usage } = reduceLog(await readLog(database, sessionId, 0));
    const used = usedOf(usage, Date.now());
    const [low] = limited.filter((kind) => (wanted[kind] ?? 0) <= used[kind]);
    if (low !== undefined) throw notRaised(low, patch);
  }
  return changed.length === 0 ? null : wanted;
}

function patchedBudget(current: BudgetLimits, { budget, limits }: BudgetPatch): BudgetLimits {
  const next: { -readonly [Kind in BudgetKind]?: number } = limits === null ? {} : { ...current };
  for (const kind of limits === undefined || limits === null ? [] : budgetKinds) {
    const limit = limits?.[publicKinds[kind]];
    if (limit === null) delete next[kind];
    else if (limit !== undefined) Object.assign(next, readLimits({ [publicKinds[kind]]: limit }));
  }
  if (budget === undefined) return next;
  if (limits === null || limits?.cost_usd !== undefined) throw saidTwice();
  if (budget === null) {
    delete next.costMicros;
    return next;
  }
  if (current.costMicros === undefined) {
    throw new Problem(
      "budget_create_only",
      "budget: the session has none, and cannot be given one any more.",
      "Set x_exoloop.budget.cost_usd, which may be set at any time.",
    );
  }
  return { ...next, costMicros: readMoney(budget) };
}

function notRaised(kind: BudgetKind, { budget }: BudgetPatch): Problem {
  const byBudget = kind === "costMicros" && budget !== undefined;
  const field = byBudget ? "budget.max_list_cost" : `x_exoloop.budget.${publicKinds[kind]}`;
  return new Problem(
    "budget_not_raised",
    `${field}: the session has used as much or more.`,
    "Set it above what GET /v1/sessions/{session_id} shows in x_exoloop.budget.used, or remove it with null.",
  );
}

/** The budget as a session's answer shows it: limits, use, and the limit that is reached. */
export function writeBudget({ usage, budget }: Pick<SessionRow, "usage" | "budget">) {
  const used = usedOf(usage, Date.now());
  const reached = reachedLimit(used, budget);
  return {
    limits: publicLimits(budget),
    used: publicUse(used),
    reached: reached === null ? null : publicReached(reached),
  };
}

/** Every model that the session may be answered by, its threads included, must have a list price. */
export function requirePrices(agent: SessionRow["agent"], isPriced: (model: string) => boolean): void {
  const agents = [agent, ...rosterOf(agent).map((entry) => entry.agent)];
  const without = agents.flatMap(modelsOf).find((model) => !isPriced(model));
  if (without === undefined) return;
  throw new Problem(
    "model_not_budgetable",
    `budget: the model ${without.slice(0, 200)} has no list price, so no limit of money can hold it.`,
    "Describe its price in the file that EXOLOOP_MODEL_CATALOG names, or limit tokens instead.",
  );
}

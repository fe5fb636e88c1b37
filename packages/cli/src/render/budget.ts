/** Budgets as people read them. Pure. @module */
import type { PublicBudgetLimits } from "@exoloop/protocol/budgets";
import { escapeToLine } from "./escape.ts";
import { isFields, readString } from "./transcript-fields.ts";

const units: Readonly<Record<keyof PublicBudgetLimits, string>> = {
  tokens: "tokens",
  cost_usd: "USD",
  wall_seconds: "s of work",
  steps: "steps",
  sandbox_seconds: "s of sandbox",
};
const kinds = Object.keys(units) as (keyof PublicBudgetLimits)[];

function isKind(kind: string): kind is keyof PublicBudgetLimits {
  return Object.hasOwn(units, kind);
}

/** @example describeAmount("cost_usd", 2.5) // "2.5000 USD" */
export function describeAmount(kind: keyof PublicBudgetLimits, amount: number): string {
  return `${shortNumber(kind, amount)} ${units[kind]}`;
}

function shortNumber(kind: keyof PublicBudgetLimits, amount: number): string {
  if (kind === "cost_usd") return amount.toFixed(amount < 0.01 && amount > 0 ? 6 : 4);
  return Number.isInteger(amount) ? String(amount) : amount.toFixed(1);
}

/**
 * @param used Null where it is not known.
 * @example describeLimits({ steps: 10 }, { …, steps: 4 }) // "4 of 10 steps"
 */
export function describeLimits(
  limits: PublicBudgetLimits,
  used: Readonly<Record<keyof PublicBudgetLimits, number>> | null,
): string {
  return kinds
    .flatMap((kind) => {
      const limit = limits[kind];
      if (limit === undefined) return [];
      const amount = describeAmount(kind, limit);
      return [used === null ? amount : `${shortNumber(kind, used[kind])} of ${amount}`];
    })
    .join(", ");
}

/**
 * Why a session rests, and what to do, from its idle event's `x_exoloop.budget_reached`. Escaped.
 * @example describeReached({ scope: "session", kind: "steps", limit: 10, used: 10, resets_at: null })
 */
export function describeReached(reached: unknown): string {
  if (!isFields(reached)) return "the budget of this session is used up";
  const kind = readString(reached, "kind");
  const scope = readString(reached, "scope");
  const { limit, used } = reached;
  const amount =
    isKind(kind) && typeof limit === "number" && typeof used === "number"
      ? `${shortNumber(kind, used)} of ${describeAmount(kind, limit)}`
      : escapeToLine(kind);
  const resets = readString(reached, "resets_at");
  const wait = resets === "" ? "" : `\nIt begins anew at ${escapeToLine(resets)}, and the session goes on by itself.`;
  const target = scope === "session" ? " --session <session>" : scope === "user" ? " --user <id>" : "";
  const flag = isKind(kind) ? kind.replaceAll("_", "-") : "steps";
  const raise = `Raise it and the session goes on where it stands: exoloop budgets set${target} --${flag} <number>`;
  return `the budget of the ${escapeToLine(scope)} is used up: ${amount}${wait}\n${raise}`;
}

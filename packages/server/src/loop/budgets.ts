/** Budgets: what a session may use, and whether it has. Pure. @module */
import type { Usage } from "../sessions/state.ts";

/** Absent members do not limit. */
export interface BudgetLimits {
  /** Input and output of all model calls. */
  readonly tokens?: number;
  /** Micro-units of USD. */
  readonly costMicros?: number;
  /** Seconds in status running. */
  readonly wallSeconds?: number;
  /** Model calls and tool calls. */
  readonly steps?: number;
  readonly sandboxSeconds?: number;
}

export type BudgetKind = keyof BudgetLimits;

export interface BudgetReached {
  readonly scope: "session" | "user" | "organization";
  readonly kind: BudgetKind;
  readonly limit: number;
  readonly used: number;
  /** When a shared budget begins anew, in milliseconds since the epoch; absent where it never does. */
  readonly resetsAt?: number;
}

export const budgetKinds: readonly BudgetKind[] = ["tokens", "costMicros", "wallSeconds", "steps", "sandboxSeconds"];

/**
 * The first limit that is reached; null when there is room for another step.
 * @param now Milliseconds since the epoch.
 */
export function reachedBudget(usage: Usage, limits: BudgetLimits, now: number): BudgetReached | null {
  const reached = reachedLimit(usedOf(usage, now), limits);
  return reached === null ? null : { scope: "session", ...reached };
}

export type BudgetUse = Readonly<Record<BudgetKind, number>>;

export function reachedLimit(used: BudgetUse, limits: BudgetLimits): Omit<BudgetReached, "scope"> | null {
  for (const kind of budgetKinds) {
    const limit = limits[kind];
    if (limit !== undefined && used[kind] >= limit) return { kind, limit, used: used[kind] };
  }
  return null;
}

/** What is left of each limit; never below zero. */
export function remainingBudget(usage: Usage, limits: BudgetLimits, now: number): BudgetLimits {
  const used = usedOf(usage, now);
  const left = budgetKinds.flatMap((kind) => {
    const limit = limits[kind];
    return limit === undefined ? [] : [[kind, Math.max(0, limit - used[kind])] as const];
  });
  return Object.fromEntries(left);
}

/**
 * What was used since then: a thread's budget is for one piece of work.
 * @param before An earlier usage of the same session, read while it was not running.
 */
export function usageSince(usage: Usage, before: Usage): Usage {
  return {
    input: usage.input - before.input,
    output: usage.output - before.output,
    cacheRead: usage.cacheRead - before.cacheRead,
    cacheWrite: usage.cacheWrite - before.cacheWrite,
    costMicros: usage.costMicros - before.costMicros,
    steps: usage.steps - before.steps,
    runningMs: usage.runningMs - before.runningMs,
    runningSince: usage.runningSince,
    sandboxAwakeMs: usage.sandboxAwakeMs - before.sandboxAwakeMs,
  };
}

/** The tighter of each limit. */
export function tighterBudget(first: BudgetLimits, second: BudgetLimits): BudgetLimits {
  const both = budgetKinds.flatMap((kind) => {
    const limits = [first[kind], second[kind]].filter((limit) => limit !== undefined);
    return limits.length === 0 ? [] : [[kind, Math.min(...limits)] as const];
  });
  return Object.fromEntries(both);
}

/** @param now Milliseconds since the epoch. */
export function usedOf(usage: Usage, now: number): BudgetUse {
  const open = usage.runningSince === null ? 0 : Math.max(0, now - usage.runningSince);
  return {
    tokens: usage.input + usage.output + usage.cacheRead + usage.cacheWrite,
    costMicros: usage.costMicros,
    wallSeconds: (usage.runningMs + open) / 1_000,
    steps: usage.steps,
    sandboxSeconds: usage.sandboxAwakeMs / 1_000,
  };
}

/** Names of the API, which counts money in US dollars. */
export const publicKinds = {
  tokens: "tokens",
  costMicros: "cost_usd",
  wallSeconds: "wall_seconds",
  steps: "steps",
  sandboxSeconds: "sandbox_seconds",
} as const satisfies Record<BudgetKind, string>;

export type PublicLimits = { readonly [Kind in (typeof publicKinds)[BudgetKind]]?: number };

const microsPerDollar = 1_000_000;

/** @example publicAmount("costMicros", 2_500_000) // 2.5 */
function publicAmount(kind: BudgetKind, amount: number): number {
  return kind === "costMicros" ? amount / microsPerDollar : amount;
}

export function publicLimits(limits: BudgetLimits): PublicLimits {
  return Object.fromEntries(
    budgetKinds.flatMap((kind) => {
      const limit = limits[kind];
      return limit === undefined ? [] : [[publicKinds[kind], publicAmount(kind, limit)] as const];
    }),
  );
}

/** From the API's names; absent members stay absent. */
export function readLimits(limits: PublicLimits): BudgetLimits {
  return Object.fromEntries(
    budgetKinds.flatMap((kind) => {
      const limit = limits[publicKinds[kind]];
      if (limit === undefined) return [];
      return [[kind, kind === "costMicros" ? Math.round(limit * microsPerDollar) : limit] as const];
    }),
  );
}

export function publicUse(used: BudgetUse) {
  return {
    tokens: used.tokens,
    cost_usd: publicAmount("costMicros", used.costMicros),
    wall_seconds: used.wallSeconds,
    steps: used.steps,
    sandbox_seconds: used.sandboxSeconds,
  };
}

export function publicReached({ kind, limit, used }: Pick<BudgetReached, "kind" | "limit" | "used">) {
  return { kind: publicKinds[kind], limit: publicAmount(kind, limit), used: publicAmount(kind, used) };
}

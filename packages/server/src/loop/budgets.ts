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
}

const kinds: readonly BudgetKind[] = ["tokens", "costMicros", "wallSeconds", "steps", "sandboxSeconds"];

/**
 * The first limit that is reached; null when there is room for another step.
 * @param now Milliseconds since the epoch.
 */
export function reachedBudget(usage: Usage, limits: BudgetLimits, now: number): BudgetReached | null {
  const used = usedOf(usage, now);
  for (const kind of kinds) {
    const limit = limits[kind];
    if (limit !== undefined && used[kind] >= limit) return { scope: "session", kind, limit, used: used[kind] };
  }
  return null;
}

/** What is left of each limit; never below zero. */
export function remainingBudget(usage: Usage, limits: BudgetLimits, now: number): BudgetLimits {
  const used = usedOf(usage, now);
  const left = kinds.flatMap((kind) => {
    const limit = limits[kind];
    return limit === undefined ? [] : [[kind, Math.max(0, limit - used[kind])] as const];
  });
  return Object.fromEntries(left);
}

/** The tighter of each limit. */
export function tighterBudget(first: BudgetLimits, second: BudgetLimits): BudgetLimits {
  const both = kinds.flatMap((kind) => {
    const limits = [first[kind], second[kind]].filter((limit) => limit !== undefined);
    return limits.length === 0 ? [] : [[kind, Math.min(...limits)] as const];
  });
  return Object.fromEntries(both);
}

function usedOf(usage: Usage, now: number): Readonly<Record<BudgetKind, number>> {
  const open = usage.runningSince === null ? 0 : Math.max(0, now - usage.runningSince);
  return {
    tokens: usage.input + usage.output + usage.cacheRead + usage.cacheWrite,
    costMicros: usage.costMicros,
    wallSeconds: (usage.runningMs + open) / 1_000,
    steps: usage.steps,
    sandboxSeconds: usage.sandboxAwakeMs / 1_000,
  };
}

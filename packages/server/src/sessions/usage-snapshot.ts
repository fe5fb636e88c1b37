/** What a session has used, in the words of the API. Pure. @module */
import type { Usage } from "./state.ts";

const microsPerCent = 10_000;

interface MonetaryAmount {
  /** Cents, in decimal. */
  readonly amount: string;
  readonly currency: "USD";
}

/** Whole cents, rounded down: a cost shows as a limit only when it has reached it. */
export function writeCost(micros: number): MonetaryAmount {
  return { amount: String(Math.floor(micros / microsPerCent)), currency: "USD" };
}

/** Whole cents, rounded up: a limit below a cent is not shown as nothing. */
export function writeLimit(micros: number): MonetaryAmount {
  return { amount: String(Math.ceil(micros / microsPerCent)), currency: "USD" };
}

/** @param now Milliseconds since the epoch. Without a list price there is no list cost. */
export function writeUsage(usage: Usage, now: number) {
  const open = usage.runningSince === null ? 0 : Math.max(0, now - usage.runningSince);
  return {
    input_tokens: usage.input,
    output_tokens: usage.output,
    cache_read_input_tokens: usage.cacheRead,
    cache_creation: { ephemeral_5m_input_tokens: usage.cacheWrite, ephemeral_1h_input_tokens: 0 },
    active_seconds: (usage.runningMs + open) / 1_000,
    ...(usage.costMicros > 0 ? { list_cost: writeCost(usage.costMicros) } : {}),
  };
}

/** The API's form of a budget: money only. Null where money is not limited. */
export function writeBudgetLimit(costMicros: number | undefined) {
  return costMicros === undefined ? null : { type: "limit" as const, max_list_cost: writeLimit(costMicros) };
}

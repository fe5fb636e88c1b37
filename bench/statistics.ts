/** From samples to rows. @module */
import type { Row } from "./bench.ts";

/**
 * The smallest sample that at least the given share of all samples does not exceed (nearest rank).
 * @param share between 0 and 1
 * @throws RangeError without samples
 * @example percentile([3, 1, 2], 0.5) // 2
 */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((left, right) => left - right);
  const found = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (found === undefined) throw new RangeError("no samples");
  return found;
}

export interface Judgement {
  readonly id: string;
  readonly unit: string;
  readonly goal: number | null;
  /** Which figure is held against the goal. Default p50. */
  readonly judged?: "p50" | "p95" | "p99";
  /** Whether more is better, as of a throughput. Default false. */
  readonly higherIsBetter?: boolean;
  /** Samples of what this is compared with. */
  readonly peer?: readonly number[];
}

/** @example toRow([12, 15], { id: "resume", unit: "ms", goal: 20, judged: "p95" }) */
export function toRow(samples: readonly number[], judgement: Judgement): Row {
  const { id, unit, goal, judged = "p50", higherIsBetter = false } = judgement;
  const figures = {
    p50: round(percentile(samples, 0.5)),
    p95: round(percentile(samples, 0.95)),
    p99: round(percentile(samples, 0.99)),
  };
  const value = figures[judged];
  const share = { p50: 0.5, p95: 0.95, p99: 0.99 }[judged];
  const peer = judgement.peer === undefined ? null : round(percentile(judgement.peer, share));
  const ratio = peer === null || peer === 0 ? null : round(value / peer);
  const ok = goal === null || (higherIsBetter ? value >= goal : value <= goal);
  return { id, unit, n: samples.length, ...figures, value, goal, peer, ratio, ok };
}

/** Four significant digits: what is behind them is noise. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}

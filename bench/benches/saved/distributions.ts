/**
 * Published distributions of coding agents' sessions, as quantile functions.
 *
 * Source: "TraceLab: Characterizing Coding Agent Workloads for LLM Serving" (arXiv 2606.30560; figures of the public
 * trace: 4,258 sessions of 52 people with Claude Code and Codex, about 357,000 model calls, 430,000 tool calls; tables
 * "session_timing_distribution", individual latencies, and "session_internal_counts"; data under CC BY 4.0). Only the
 * quantiles and means are used; between them the logarithm of the value is interpolated, and the unpublished maximum is
 * chosen so that the mean is the published one.
 * @module
 */

export interface PublishedDistribution {
  readonly unit: "s" | "1";
  readonly mean: number;
  /** [share, value], ascending, from the smallest value on. */
  readonly quantiles: readonly (readonly [share: number, value: number])[];
  /** Counts may be zero; `log(value + offset)` is interpolated. */
  readonly offset: number;
}

export const published = {
  /** From a tool's result or a person's message to the end of the model's answer. */
  thinking: {
    unit: "s",
    mean: 13.2,
    quantiles: [
      [0, 0.5],
      [0.5, 5.7],
      [0.9, 22.2],
      [0.99, 84],
    ],
    offset: 0,
  },
  /** One tool call. All of them count as commands here, also those that would not wake a sandbox. */
  command: {
    unit: "s",
    mean: 18.4,
    quantiles: [
      [0, 0.005],
      [0.5, 0.3],
      [0.9, 13.6],
      [0.99, 216],
    ],
    offset: 0,
  },
  /** From the end of an answer to the person's next message. */
  person: {
    unit: "s",
    mean: 2802,
    quantiles: [
      [0, 1],
      [0.5, 84],
      [0.9, 1236],
      [0.99, 50_040],
    ],
    offset: 0,
  },
  requestsPerSession: {
    unit: "1",
    mean: 9.2,
    quantiles: [
      [0, 1],
      [0.25, 1],
      [0.5, 1],
      [0.9, 18],
      [0.99, 137],
    ],
    offset: 1,
  },
  stepsPerRequest: {
    unit: "1",
    mean: 7.8,
    quantiles: [
      [0, 0],
      [0.25, 0],
      [0.5, 1],
      [0.9, 20],
      [0.99, 86],
    ],
    offset: 1,
  },
  commandsPerStep: {
    unit: "1",
    mean: 1.2,
    quantiles: [
      [0, 1],
      [0.5, 1],
      [0.9, 2],
      [0.99, 4],
    ],
    offset: 1,
  },
} as const satisfies Record<string, PublishedDistribution>;

/** The value below which a share of all values lies. @param share 0 to 1 @param maximum the value at share 1 */
export function quantile(distribution: PublishedDistribution, maximum: number, share: number): number {
  const points = [...distribution.quantiles, [1, maximum] as const];
  const above = points.findIndex(([at]) => at >= share);
  const [rightShare, right] = points[Math.max(above, 0)] ?? [1, maximum];
  const [leftShare, left] = points[Math.max(above - 1, 0)] ?? [0, right];
  const part = rightShare === leftShare ? 1 : (share - leftShare) / (rightShare - leftShare);
  const { offset } = distribution;
  return Math.exp(Math.log(left + offset) * (1 - part) + Math.log(right + offset) * part) - offset;
}

/** Points at which the mean is computed: fine enough for a tail of 1%. */
const steps = 20_000;

function meanWith(distribution: PublishedDistribution, maximum: number): number {
  let sum = 0;
  for (let step = 0; step < steps; step += 1) sum += quantile(distribution, maximum, (step + 0.5) / steps);
  return sum / steps;
}

/** The maximum with which the mean is the published one; the 99th percentile where the mean is smaller even so. */
export function fitMaximum(distribution: PublishedDistribution): number {
  let low = distribution.quantiles.at(-1)?.[1] ?? 1;
  let high = low * 1e6;
  if (meanWith(distribution, low) >= distribution.mean) return low;
  for (let round = 0; round < 60; round += 1) {
    const middle = Math.sqrt(low * high);
    if (meanWith(distribution, middle) < distribution.mean) low = middle;
    else high = middle;
  }
  return high;
}

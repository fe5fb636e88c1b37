/** Which of a neighbour's commands ran beside an attack. @module */

/** When it began, in milliseconds since the epoch, and how many it took. */
export type NeighbourSample = readonly [started: number, milliseconds: number];

export interface Span {
  readonly started: number;
  readonly ended: number;
}

/** What ran at all while the attack did. What began before it counts as well: it may have been held up. */
export function during(samples: readonly NeighbourSample[], { started, ended }: Span): number[] {
  return samples.filter(([at, took]) => at < ended && at + took > started).map(([, took]) => took);
}

/** What had ended before the attack began. */
export function before(samples: readonly NeighbourSample[], { started }: Span): number[] {
  return samples.filter(([at, took]) => at + took <= started).map(([, took]) => took);
}

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fitMaximum, published, quantile } from "./distributions.ts";
import { simulate } from "./simulate.ts";
import { formatTrace, makeTrace, readTrace, traceFile } from "./trace.ts";

describe("the trace of a day", () => {
  it("is the one that its seed and the published distributions make", () => {
    expect(readFileSync(traceFile, "utf8")).toBe(formatTrace(makeTrace()));
  });

  it("is read as it was written", () => {
    expect(readTrace(formatTrace(makeTrace()))).toEqual(makeTrace());
  });

  it.each(Object.entries(published))("%s has the published quantiles and mean", (_name, distribution) => {
    const maximum = fitMaximum(distribution);
    for (const [share, value] of distribution.quantiles)
      expect(quantile(distribution, maximum, share)).toBeCloseTo(value, 6);
    const draws = Array.from({ length: 10_001 }, (_, index) => quantile(distribution, maximum, index / 10_000));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    expect(mean / distribution.mean).toBeGreaterThan(0.85);
    expect(mean / distribution.mean).toBeLessThan(1.4);
  });
});

describe("the simulation", () => {
  const trace = {
    source: "",
    seed: 0,
    sessions: [
      [
        {
          waitMs: 5000,
          steps: [
            { thinkMs: 1000, commandMs: [200, 300] },
            { thinkMs: 400, commandMs: [] },
          ],
        },
        { waitMs: 3_600_000, steps: [{ thinkMs: 100, commandMs: [] }] },
      ],
    ],
  };

  it("counts commands and what is around them, and for the others the whole session", () => {
    expect(simulate(trace, { aroundCommandMs: 5 })).toEqual({
      outsideMs: 510,
      perRequestMs: 2000,
      allSessionMs: 3_602_000,
      idleStopMs: 2 * 900_000 + 2000,
    });
  });

  it("puts one time in the place of all thinking", () => {
    expect(simulate(trace, { aroundCommandMs: 0 }, 10_000).perRequestMs).toBe(30_500);
  });
});

import { describe, expect, it } from "vitest";
import { percentile, toRow } from "./statistics.ts";

const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

describe("percentile", () => {
  it("is the nearest rank, whatever the order of the samples", () => {
    expect([0.5, 0.95, 0.99, 1].map((share) => percentile(hundred, share))).toEqual([50, 95, 99, 100]);
  });

  it("of few samples is one of them", () => {
    expect(percentile([7], 0.99)).toBe(7);
    expect(percentile([1, 2], 0.5)).toBe(1);
    expect(percentile([1, 2], 0.51)).toBe(2);
    expect(percentile([3, 9], 0)).toBe(3);
  });

  it("does not sort ten before nine", () => {
    expect(percentile([10, 9, 8], 1)).toBe(10);
  });

  it("needs a sample", () => {
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });
});

describe("toRow", () => {
  const judgement = { id: "resume", unit: "ms" };

  it("holds the judged figure against the goal", () => {
    expect(toRow(hundred, { ...judgement, goal: 50 })).toMatchObject({ n: 100, value: 50, ok: true });
    expect(toRow(hundred, { ...judgement, goal: 94, judged: "p95" })).toMatchObject({ value: 95, ok: false });
    expect(toRow(hundred, { ...judgement, goal: null, judged: "p99" })).toMatchObject({
      value: 99,
      goal: null,
      ok: true,
    });
  });

  it("knows figures of which more is better", () => {
    expect(toRow(hundred, { ...judgement, goal: 51, higherIsBetter: true })).toMatchObject({ ok: false });
    expect(toRow(hundred, { ...judgement, goal: 50, higherIsBetter: true })).toMatchObject({ ok: true });
  });

  it("compares with a peer at the same share", () => {
    const peer = hundred.map((sample) => sample * 2);
    expect(toRow(hundred, { ...judgement, goal: null, judged: "p95", peer })).toMatchObject({ peer: 190, ratio: 0.5 });
    expect(toRow(hundred, { ...judgement, goal: null })).toMatchObject({ peer: null, ratio: null });
  });
});

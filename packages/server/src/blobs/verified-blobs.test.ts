import { expect, it } from "vitest";
import { createVerifiedBlobs } from "./verified-blobs.ts";

it("counts what was seen for ten minutes, and forgets the oldest of many", () => {
  let now = 5_000;
  const verified = createVerifiedBlobs(() => now);
  expect(verified.has("a")).toBe(false);
  verified.add("a");
  verified.add("b");
  now += 599_000;
  expect([verified.has("a"), verified.has("b")]).toEqual([true, true]);
  verified.add("a");
  verified.delete("b");
  expect([verified.has("a"), verified.has("b")]).toEqual([true, false]);
  now += 2_000;
  expect(verified.has("a")).toBe(true);
  now += 599_000;
  expect(verified.has("a")).toBe(false);
  for (let index = 0; index < 20_001; index += 1) verified.add(`${index}`);
  expect([verified.has("0"), verified.has("1"), verified.has("20000")]).toEqual([false, true, true]);
});

import { expect, it } from "vitest";
import { createRandom } from "./random.ts";

it("gives the same numbers for a seed, whatever is asked for", () => {
  const random = createRandom(7);
  const drawn = [random.next(), random.below(10), random.between(3, 5), random.chance(0.5), random.pick(["a", "b"])];
  expect(drawn).toEqual([0.011704753153026104, 0, 5, false, "b"]);
  expect(() => random.pick([])).toThrow(RangeError);
});

import { expect, it } from "vitest";
import { createTurns } from "./turns.ts";

it("lets one in at a time, in their order, and whoever never enters holds nobody up", async () => {
  const begin = createTurns();
  const seen: string[] = [];
  let inside = 0;
  const work = async (name: string, enters = true) => {
    const turn = begin();
    if (enters) {
      await Promise.all([turn.enter(), turn.enter()]);
      inside += 1;
      expect(inside).toBe(1);
      seen.push(name);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inside -= 1;
    }
    turn.leave();
    turn.leave();
  };
  await Promise.all([work("a"), work("none", false), work("b"), work("c")]);
  await work("d");
  expect(seen).toEqual(["a", "b", "c", "d"]);
});

import { expect, test } from "vitest";
import { inTurn } from "./in-turn.ts";

test("work of one name is done one after the other, also behind what failed; other names do not wait", async () => {
  const done: string[] = [];
  const work = (name: string, milliseconds: number) => async () => {
    done.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    done.push(`${name} ends`);
    if (name === "bad") throw new Error("bad");
    return name;
  };
  const results = await Promise.allSettled([
    inTurn("a", work("bad", 20)),
    inTurn("a", work("second", 1)),
    inTurn("b", work("other", 1)),
    inTurn("a", work("third", 1)),
  ]);
  expect(results.map((result) => result.status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
  expect(done.filter((line) => !line.startsWith("other"))).toEqual([
    "bad begins",
    "bad ends",
    "second begins",
    "second ends",
    "third begins",
    "third ends",
  ]);
  expect(done.indexOf("other ends")).toBeLessThan(done.indexOf("bad ends"));
});

import { expect, it } from "vitest";
import type { LoadedLineages } from "./lineages.ts";
import { planUndo } from "./undo-plan.ts";

it("lets others run while texts are merged", async () => {
  const same = Array.from({ length: 500 }, () => "same");
  const texts: Readonly<Record<string, string>> = {
    before: same.join("\n"),
    own: [...same.slice(0, 3), "own", ...same].join("\n"),
    now: [...same.slice(0, 3), "own", ...same, "others"].join("\n"),
  };
  const state = (sha256: string) => ({ path: "/a", sha256, executable: false });
  const steps = ["before", "own", "now"].map((sha256) => ({ state: state(sha256), undone: sha256 === "own" }));
  const file = { memoryId: "mem_1", steps, head: state("now"), path: "/a" };
  const lineages: LoadedLineages = {
    files: Array.from({ length: 10 }, () => file),
    directories: [],
    textOf: (sha256) => texts[sha256] ?? null,
    bytesOf: () => undefined,
  };
  let turns = 0;
  let planning = true;
  const other = (async () => {
    for (; planning; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  })();
  const { parts, kept } = await planUndo(lineages);
  planning = false;
  await other;
  expect(parts.length + kept.length).toBe(10);
  expect(turns).toBeGreaterThan(5);
}, 30_000);

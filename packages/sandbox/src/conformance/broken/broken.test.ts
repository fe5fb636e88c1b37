import { describe, expect, it } from "vitest";
import type { SandboxProvider } from "../../contract.ts";
import { createMemoryProvider } from "../../providers/memory/provider.ts";
import { allCases } from "../all-cases.ts";
import { runConformance } from "../runner.ts";
import { createBoaster, createHoarder, createSharer } from "./boaster-sharer-hoarder.ts";
import { createFabricator } from "./fabricator.ts";
import { createSleepwalker } from "./sleepwalker.ts";
import { createTearer } from "./tearer.ts";

interface Broken {
  readonly create: (base: SandboxProvider) => SandboxProvider;
  /** The subjects that it is broken in: only there does it count that a case catches it. */
  readonly subjects: readonly string[];
  readonly parallel: number;
}

const broken: Readonly<Record<string, Broken>> = {
  fabricator: {
    create: createFabricator,
    subjects: ["exec", "signal", "stdin", "terminal", "attach"],
    parallel: 16,
  },
  sleepwalker: { create: createSleepwalker, subjects: ["lifecycle", "suspend", "pool"], parallel: 16 },
  tearer: {
    create: createTearer,
    subjects: ["read", "write", "tree", "fetch", "place", "isolation", "limits"],
    parallel: 16,
  },
  boaster: { create: createBoaster, subjects: ["isolation", "limits", "ports"], parallel: 8 },
  hoarder: { create: createHoarder, subjects: ["lifecycle"], parallel: 8 },
  // One case after the other: at the same time each would take the machine from the others.
  sharer: { create: createSharer, subjects: ["lifecycle"], parallel: 1 },
};

async function caughtBy({ create, subjects, parallel }: Broken): Promise<string[]> {
  const cases = allCases.filter(({ id }) => subjects.includes(id.split(".")[0] ?? ""));
  const report = await runConformance(create(createMemoryProvider()), { cases, parallel, timeoutMs: 6000 });
  expect(report.ok).toBe(false);
  return report.results.filter(({ outcome }) => outcome === "failed").map(({ id }) => id);
}

describe("broken providers", () => {
  it("are all caught, and every case catches one that is broken in its subject", async () => {
    const caught = new Set((await Promise.all(Object.values(broken).map(caughtBy))).flat());
    expect(allCases.map(({ id }) => id).filter((id) => !caught.has(id))).toEqual([]);
  }, 60_000);
});

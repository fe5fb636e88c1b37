/**
 * Drivers that are stopped before, during and after each effect of each trace, once and twice, or that stall before it
 * and go on too late: what is left at the end is what an undisturbed driver leaves, but for what the crash table says.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { createNoticeBoard } from "../sessions/notice-board.ts";
import type { ClosableNoticeBoard } from "../sessions/notice-board.ts";
import { createLogger } from "../telemetry/logger.ts";
import { crashTable } from "./crash-table.ts";
import type { CrashPoint } from "./effects-gated.ts";
import { compareRuns } from "./testing/compare-runs.ts";
import { runTrace, type TracePlace, type TraceResult } from "./testing/run-trace.ts";
import { endOf, type Trace, usualEnd } from "./testing/trace.ts";
import { traces } from "./testing/traces.ts";
import { createWakeTables, settleFast } from "./testing/wake-table.ts";

/** Runs beside each other: most of a run is waiting for Postgres. */
const lanes = 8;
/** Some traces are run two hundred times: seconds on an idle machine, not on one that does other things. */
const patienceMs = 240_000;

describe("a driver that is lost", () => {
  let test: TestDatabase;
  let notices: ClosableNoticeBoard;
  let place: TracePlace;
  const met = new Map<string, number>();
  beforeAll(async () => {
    test = await createTestDatabase();
    await settleFast(test.database);
    await createWakeTables(test.database);
    notices = await createNoticeBoard({ connectionString: test.url, log: createLogger("silent") });
    place = { database: test.database, notices };
  });
  afterAll(async () => {
    await notices.close();
    await test.drop();
  });

  it.each(traces)(
    "$name: leaves what an undisturbed one leaves",
    async (trace) => {
      const undisturbed = await runTrace(place, trace);
      expect(compareRuns(undisturbed, undisturbed)).toEqual([]);
      expect(endOf(undisturbed.logs[0]?.events ?? [])).toEqual({ ...usualEnd, ...trace.end });
      // The session, the other one, and a thread for each agent that may be given work.
      expect(undisturbed.logs).toHaveLength(2 + (trace.roster ?? []).length);
      const plans = plansFor(undisturbed);
      const problems = await inLanes(plans, (plan) => tryPlan(place, trace, undisturbed, plan, met));
      expect(problems.flat()).toEqual([]);
    },
    patienceMs,
  );

  it("was met at every row of the crash table that is gated", () => {
    const rows = crashTable.filter((row) => row.proof.includes("gated")).map((row) => row.id);
    expect(rows.filter((row) => !met.has(row))).toEqual([]);
    expect([...met.keys()].filter((row) => !rows.includes(row))).toEqual([]);
  });
});

/**
 * Each moment of each effect, and the same with a second driver that is lost after its first effect; and a driver that
 * stalls before each effect, and goes on when another one has done its work.
 */
function plansFor({ passed }: TraceResult): readonly (readonly CrashPoint[])[] {
  const points = passed.flatMap(({ divisible }, index): readonly CrashPoint[] => {
    const effect = index + 1;
    const during: readonly CrashPoint[] = divisible ? [{ effect, moment: "during" }] : [];
    return [{ effect, moment: "before" }, ...during, { effect, moment: "after" }];
  });
  const stalls = passed.map((_effect, index): readonly CrashPoint[] => [{ effect: index + 1, moment: "stalled" }]);
  return [...points.flatMap((point) => [[point], [point, { effect: 1, moment: "after" } as const]]), ...stalls];
}

async function tryPlan(
  place: TracePlace,
  trace: Trace,
  undisturbed: TraceResult,
  points: readonly CrashPoint[],
  met: Map<string, number>,
): Promise<readonly string[]> {
  const [first] = points;
  const rows = undisturbed.passed[(first?.effect ?? 0) - 1]?.rows ?? [];
  const where = points.map(({ effect, moment }) => `${moment} ${effect}`).join(", then ");
  const disturbed = await runTrace(place, trace, { points });
  if (first?.moment !== "stalled")
    for (const row of rows) met.set(`${row}.${first?.moment}`, (met.get(`${row}.${first?.moment}`) ?? 0) + 1);
  const lost = disturbed.crashed.length === 0 ? ["no driver was lost"] : [];
  return [...lost, ...compareRuns(undisturbed, disturbed)].map(
    (problem) => `${where} (${rows.join(", ")}): ${problem}`,
  );
}

async function inLanes<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const rest = [...items];
  const lane = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) results.push(await work(item));
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

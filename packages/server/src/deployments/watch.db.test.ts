/** The look in time: with the real clock, by the engine, and while the database is away. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDatabase } from "../db/database.ts";
import { createPgBossEngine } from "../engine/pg-boss-engine.ts";
import { type ScheduleTest, startScheduleTest } from "./testing.ts";
import { lookForDueRuns } from "./watch.ts";

let schedules: ScheduleTest;
beforeEach(async () => {
  schedules = await startScheduleTest(new Date().toISOString());
});
afterEach(() => schedules.stop());

const everyMinute = { schedule: { expression: "* * * * *", timezone: "UTC" } };

async function runWithin(id: string, milliseconds: number): Promise<boolean> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(20)) {
    if ((await schedules.runsOf(id)).length > 0) return true;
  }
  return false;
}

/** As if this were the schedule's next instant. */
const comeDue = (id: string, at: number) =>
  schedules.database
    .updateTable("deployments")
    .set({ next_run_at: new Date(at) })
    .where("id", "=", id)
    .execute();

const thisMinute = () => Math.floor(Date.now() / 60_000) * 60_000;

test("the engine looks: a run that is due is started, its turn handed out, its session of the deployment", async () => {
  const { database, url } = schedules;
  const turns: string[] = [];
  const { log, notices } = schedules.worker;
  const timing = { look: 50, beat: 250, lost: 2_000 };
  const engine = createPgBossEngine({ connectionString: url, database, concurrency: 1, log, timing });
  engine.every("deployments", 200, (signal) => lookForDueRuns({ database, engine, notices, log }, signal));
  await engine.start(({ sessionId }) => Promise.resolve(void turns.push(sessionId)));
  const { id } = await schedules.deploy(everyMinute);
  await comeDue(id, thisMinute());
  expect(await runWithin(id, 10_000)).toBe(true);
  const [run] = await schedules.runsOf(id);
  for (const end = Date.now() + 5_000; turns.length === 0 && Date.now() < end;) await sleep(20);
  expect(turns).toEqual([run?.session_id]);
  await engine.stop(1_000);
});

test("a look stays for an instant that comes before the next look, and ends when it is told to", async () => {
  const { id } = await schedules.deploy();
  // No instant of an hourly schedule: it is taken, found empty, and the schedule moves on.
  const due = Date.now() + 700;
  await comeDue(id, due);
  await lookForDueRuns(schedules.worker, new AbortController().signal);
  expect(Date.now()).toBeGreaterThanOrEqual(due);
  expect(Date.now()).toBeLessThan(due + 3_000);
  const { schedule } = await schedules.deployments.get(schedules.organizationId, id);
  const row = await schedules.database.selectFrom("deployments").select("next_run_at").executeTakeFirstOrThrow();
  expect(row.next_run_at?.toISOString()).toBe(schedule?.upcoming_runs_at?.[0]);
  await comeDue(id, Date.now() + 4_000);
  const begin = Date.now();
  await lookForDueRuns(schedules.worker, AbortSignal.timeout(100));
  expect(Date.now() - begin).toBeLessThan(2_000);
  expect(await schedules.runsOf(id)).toEqual([]);
});

test("while nothing is due, a look is one query", async () => {
  await schedules.deploy({ schedule: { expression: "0 0 29 2 *", timezone: "UTC" } });
  const pool = await openDatabase(schedules.url, { maximumConnections: 2, applicationName: "idle look" });
  let queries = 0;
  const database = pool.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: ({ result }) => {
      queries += 1;
      return Promise.resolve(result);
    },
  });
  await lookForDueRuns(schedules.workerOf(database), new AbortController().signal);
  expect(queries).toBe(1);
  await pool.destroy();
});

/** The look in time: with the real clock, and while the database is away. */
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDatabase } from "../db/database.ts";
import { type ScheduleTest, startScheduleTest } from "./testing.ts";
import { startDeploymentWatch } from "./watch.ts";

let schedules: ScheduleTest;
beforeEach(async () => {
  schedules = await startScheduleTest(new Date().toISOString());
});
afterEach(() => schedules.stop());

async function runsWithin(id: string, milliseconds: number): Promise<number> {
  for (const end = Date.now() + milliseconds; Date.now() < end; await sleep(20)) {
    const { length } = await schedules.runsOf(id);
    if (length > 0) return length;
  }
  return 0;
}

/** As if the schedule's next instant were this one. */
const comeDue = (id: string, at: Date) =>
  schedules.database.updateTable("deployments").set({ next_run_at: at }).where("id", "=", id).execute();

test("a run is started at its instant, not at the next regular look", async () => {
  const { id } = await schedules.deploy({ schedule: { expression: "* * * * *", timezone: "UTC" } });
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  await comeDue(id, new Date(minute));
  // The instant is this minute's; the watch begins before it would come due again.
  const watch = startDeploymentWatch(schedules.worker);
  expect(await runsWithin(id, 2_000)).toBe(1);
  await watch.stop();
  const next = await schedules.deploy({ missedRuns: "skip" });
  await comeDue(next.id, new Date(Date.now() + 800));
  const again = startDeploymentWatch(schedules.worker);
  await sleep(1_500);
  await again.stop();
  // An hourly schedule has no such instant: it was looked at, found nothing, and moved on.
  const { next_run_at: moved } = await schedules.database
    .selectFrom("deployments")
    .select("next_run_at")
    .where("id", "=", next.id)
    .executeTakeFirstOrThrow();
  expect(moved?.getTime()).toBeGreaterThan(Date.now() + 2_000);
});

test("a database that breaks the connection is looked at again", async () => {
  const { id } = await schedules.deploy({ schedule: { expression: "* * * * *", timezone: "UTC" } });
  const pool = await openDatabase(schedules.url, { maximumConnections: 1, applicationName: "broken watch" });
  const failing = { tries: 0 };
  const database = pool.withPlugin({
    transformQuery: ({ node }) => {
      failing.tries += 1;
      if (failing.tries === 1) throw new Error("Connection terminated unexpectedly");
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  });
  await comeDue(id, new Date(Math.floor(Date.now() / 60_000) * 60_000));
  const watch = startDeploymentWatch(schedules.workerOf(database));
  expect(await runsWithin(id, 8_000)).toBe(1);
  await watch.stop();
  await pool.destroy();
  expect(schedules.logged).toHaveLength(1);
});

test("while nothing is due, a look is one small query", async () => {
  await schedules.deploy();
  const name = "idle watch";
  const pool = await openDatabase(schedules.url, { maximumConnections: 2, applicationName: name });
  let queries = 0;
  const database = pool.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: ({ result }) => {
      queries += 1;
      return Promise.resolve(result);
    },
  });
  const watch = startDeploymentWatch(schedules.workerOf(database));
  await sleep(1_000);
  await watch.stop();
  expect(queries).toBe(1);
  const { rows } = await sql`select 1 from pg_stat_activity where application_name = ${name}
    and state = 'idle in transaction'`.execute(schedules.database);
  expect(rows).toEqual([]);
  await pool.destroy();
});

/** Due runs: policies, overlaps, failures, and who may look. The clock is the test's. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { openDatabase } from "../db/database.ts";
import { takeDueRuns } from "./due-runs.ts";
import { type ScheduleTest, dyingWorker, queuedTurns, startScheduleTest, stopSession } from "./testing.ts";

let schedules: ScheduleTest;
beforeEach(async () => {
  schedules = await startScheduleTest("2026-09-01T08:30:00Z");
});
afterEach(() => schedules.stop());

const read = (id: string) => schedules.deployments.get(schedules.organizationId, id);
const on = (clock: string) => `2026-09-01T${clock}:00.000Z`;

test("a run is a session with its events, woken once; the schedule goes on", async () => {
  const { id } = await schedules.deploy();
  expect((await read(id)).schedule).toMatchObject({ last_run_at: null });
  expect(await schedules.look(on("08:59"))).toEqual([]);
  expect(await schedules.look("2026-09-01T09:00:02.000Z")).toEqual(["09:00"]);
  expect(await schedules.look("2026-09-01T09:00:03.000Z")).toEqual([]);
  const [run] = await schedules.runsOf(id);
  expect(run).toMatchObject({
    type: "deployment_run",
    deployment_id: id,
    agent: { type: "agent", id: schedules.agent.id, version: 1 },
    error: null,
    trigger_context: { type: "schedule", scheduled_at: on("09:00") },
  });
  const session = await schedules.database
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", run?.session_id ?? "")
    .executeTakeFirstOrThrow();
  expect(session).toMatchObject({ deployment_id: id, title: "nightly", head_seq: 1, status: "idle" });
  expect(await queuedTurns(schedules.database)).toEqual([session.id]);
  expect(schedules.announced).toEqual([session.id]);
  expect((await read(id)).schedule).toMatchObject({
    last_run_at: "2026-09-01T09:00:02.000Z",
    upcoming_runs_at: ["10", "11", "12", "13", "14"].map((hour) => on(`${hour}:00`)),
  });
});

test("one run at a time: over when its session stops for good, not when it asks", async () => {
  const { id } = await schedules.deploy();
  await schedules.look(on("09:00"));
  const [first] = await schedules.runsOf(id);
  await stopSession(schedules.database, first?.session_id ?? "", "requires_action");
  expect(await schedules.look(on("10:00"))).toEqual([]);
  expect((await read(id)).x_exoloop).toMatchObject({ skipped_runs: 1, last_skipped_at: on("10:00") });
  await stopSession(schedules.database, first?.session_id ?? "", "end_turn");
  // A person who talks to an old run's session holds nothing up.
  await schedules.database.updateTable("sessions").set({ status: "running" }).execute();
  expect(await schedules.look(on("11:00"))).toEqual(["11:00"]);
  expect(await schedules.look(on("12:00"))).toEqual([]);
  await schedules.database.deleteFrom("sessions").execute();
  expect(await schedules.look(on("13:00"))).toEqual(["13:00"]);
});

test("queued runs wait their turn, and come without another instant", async () => {
  const { id } = await schedules.deploy({ overlap: "queue" });
  await schedules.look(on("09:00"));
  expect(await schedules.look(on("10:00"))).toEqual([]);
  expect(await schedules.look(on("11:00"))).toEqual([]);
  expect((await read(id)).x_exoloop.queued_runs_at).toEqual([on("10:00"), on("11:00")]);
  const [first] = await schedules.runsOf(id);
  await stopSession(schedules.database, first?.session_id ?? "", "end_turn");
  expect(await schedules.look(on("11:20"))).toEqual(["10:00"]);
  expect(await schedules.look(on("11:21"))).toEqual([]);
  expect((await read(id)).x_exoloop).toMatchObject({ queued_runs_at: [on("11:00")], skipped_runs: 0 });
});

test.each([
  ["skip", [], 3],
  ["run_once", ["11:00"], 2],
  ["run_all", ["09:00", "10:00", "11:00"], 0],
] as const)("instants missed while nobody looked: %s", async (missedRuns, expected, skipped) => {
  const { id } = await schedules.deploy({ missedRuns });
  const started: string[] = [];
  for (const second of [0, 5, 10, 15]) {
    const instants = await schedules.look(`2026-09-01T11:30:${String(second).padStart(2, "0")}.000Z`);
    // One at a time, also when many are to be made up for.
    expect(instants.length).toBeLessThanOrEqual(1);
    started.push(...instants);
    for (const run of await schedules.runsOf(id))
      await stopSession(schedules.database, run.session_id ?? "", "end_turn");
  }
  expect(started).toEqual(expected);
  expect((await read(id)).x_exoloop).toMatchObject({ skipped_runs: skipped, queued_runs_at: [] });
  expect(await schedules.look(on("12:00"))).toEqual(["12:00"]);
});

test("over a change of the clocks, each time on the wall is run as often as it comes", async () => {
  await schedules.deploy({ schedule: { expression: "30 2 * * *", timezone: "Europe/Berlin" }, overlap: "queue" });
  const started: string[] = [];
  for (let hour = Date.parse("2026-10-24T00:00:00Z"); hour < Date.parse("2026-10-27T00:00:00Z"); hour += 1_800_000) {
    if ((await schedules.look(new Date(hour).toISOString())).length > 0) started.push(new Date(hour).toISOString());
    await schedules.database.deleteFrom("sessions").execute();
  }
  // The instant missed since September is made up for at once.
  expect(started.map((instant) => instant.slice(5, 16))).toEqual([
    "10-24T00:00",
    "10-24T00:30",
    "10-25T00:30",
    "10-25T01:30",
    "10-26T01:30",
  ]);
});

test("whenever its worker dies, a run is neither lost nor doubled", async () => {
  const { id } = await schedules.deploy();
  const whole = await dyingWorker(schedules, -1);
  expect(await schedules.look(on("09:00"), whole.worker)).toEqual(["09:00"]);
  const steps = whole.queries();
  expect(steps).toBeGreaterThan(8);
  await whole.close();
  await schedules.database.deleteFrom("sessions").execute();
  const hour = (step: number) => new Date(Date.parse(on("09:00")) + step * 3_600_000).toISOString();
  let undone = 0;
  for (let step = 1; step <= steps; step += 1) {
    const dying = await dyingWorker(schedules, step);
    await schedules.look(hour(step), dying.worker).catch(() => []);
    await dying.close();
    const left = await schedules.database.selectFrom("sessions").select("id").execute();
    undone += 1 - left.length;
    expect(await schedules.look(hour(step))).toHaveLength(1 - left.length);
    expect(await schedules.look(hour(step))).toEqual([]);
    expect(await schedules.database.selectFrom("sessions").select("id").execute()).toHaveLength(1);
    await schedules.database.deleteFrom("sessions").execute();
  }
  // Only the last query, which finds nothing more, is after the commit.
  expect(undone).toBe(steps - 1);
  const runs = await schedules.runsOf(id);
  expect(runs).toHaveLength(steps + 1);
  expect(new Set(await queuedTurns(schedules.database))).toEqual(new Set(runs.map((run) => run.session_id)));
  expect(await queuedTurns(schedules.database)).toHaveLength(runs.length);
});

test("two workers that look at once start each instant once", async () => {
  const ids: string[] = [];
  for (let index = 0; index < 12; index += 1) ids.push((await schedules.deploy()).id);
  const second = await openDatabase(schedules.url, { maximumConnections: 4, applicationName: "second worker" });
  for (let hour = 9; hour < 14; hour += 1) {
    const now = new Date(Date.parse(on("00:00")) + hour * 3_600_000);
    const workers = [schedules.worker, schedules.workerOf(second), schedules.worker];
    const taken = await Promise.all(workers.map((worker) => takeDueRuns(worker, now)));
    expect(
      taken
        .flat()
        .map((run) => run.deployment_id)
        .sort(),
    ).toEqual([...ids].sort());
    await schedules.database.deleteFrom("sessions").execute();
  }
  await second.destroy();
  expect(schedules.logged).toEqual([]);
  expect(await queuedTurns(schedules.database)).toHaveLength(60);
});

test("an instant whose run is recorded does not come again", async () => {
  const { id } = await schedules.deploy();
  await schedules.look(on("09:00"));
  await schedules.database.deleteFrom("sessions").execute();
  await schedules.database
    .updateTable("deployments")
    .set({ next_run_at: new Date(on("09:00")) })
    .execute();
  expect(await schedules.look(on("09:00"))).toEqual([]);
  expect(await schedules.runsOf(id)).toHaveLength(1);
  expect(schedules.logged).toEqual([]);
  expect(await schedules.look(on("10:00"))).toEqual(["10:00"]);
});

test.each([
  ["agent_archived_error", () => schedules.agents.archive(schedules.organizationId, schedules.agent.id)],
  [
    "environment_archived_error",
    () => schedules.environments.archive(schedules.organizationId, schedules.environment.id),
  ],
  [
    "environment_not_found_error",
    () => schedules.environments.delete(schedules.organizationId, schedules.environment.id),
  ],
])("a failure that would come again pauses the schedule: %s", async (type, breakIt) => {
  const { id } = await schedules.deploy();
  await breakIt();
  expect(await schedules.look(on("09:00"))).toEqual(["09:00"]);
  const paused = await read(id);
  expect(paused).toMatchObject({ status: "paused", paused_reason: { type: "error", error: { type } } });
  expect(paused.schedule).toMatchObject({ last_run_at: null });
  expect(await schedules.runsOf(id)).toMatchObject([
    { session_id: null, error: { type, message: expect.any(String) } },
  ]);
  expect(await schedules.look(on("11:00"))).toEqual([]);
  expect(await schedules.database.selectFrom("sessions").select("id").execute()).toEqual([]);
  expect(await queuedTurns(schedules.database)).toEqual([]);
});

test("a fault of ours pauses its own schedule, says so in the log, and stops no other", async () => {
  const broken = await schedules.deploy();
  const sound = await schedules.deploy();
  await schedules.database
    .updateTable("deployments")
    .set({ initial_events: JSON.stringify({ not: "a list", length: 1 }), next_run_at: new Date(on("08:50")) })
    .where("id", "=", broken.id)
    .execute();
  expect(await schedules.look(on("09:00"))).toHaveLength(2);
  expect(await schedules.runsOf(broken.id)).toMatchObject([{ error: { type: "unknown_error" } }]);
  expect(await read(broken.id)).toMatchObject({ paused_reason: { type: "error", error: { type: "unknown_error" } } });
  expect(schedules.logged).toHaveLength(1);
  expect(await schedules.database.selectFrom("sessions").select("id").execute()).toHaveLength(1);
  expect(await schedules.runsOf(sound.id)).toMatchObject([{ error: null }]);
});

test("a schedule that cannot be read stays due, is logged, and stops no other", async () => {
  const broken = await schedules.deploy();
  await schedules.deploy();
  await schedules.database
    .updateTable("deployments")
    .set({ schedule_timezone: "Mars/Olympus", next_run_at: new Date(on("08:50")) })
    .where("id", "=", broken.id)
    .execute();
  expect(await schedules.look(on("09:00"))).toEqual(["09:00"]);
  expect(schedules.logged).toMatchObject([{ deployment: broken.id }]);
});

test("a failure that passes leaves the instant due, and no record", async () => {
  const { id } = await schedules.deploy();
  const url = new URL(schedules.url);
  url.searchParams.set("options", "-c lock_timeout=100");
  const hasty = await openDatabase(url.toString(), { maximumConnections: 2, applicationName: "hasty worker" });
  await schedules.database.transaction().execute(async (transaction) => {
    await transaction.updateTable("environments").set({ name: "held" }).execute();
    expect(await schedules.look(on("09:00"), schedules.workerOf(hasty))).toEqual([]);
  });
  await hasty.destroy();
  expect(schedules.logged).toMatchObject([{ deployment: id, error: { code: "55P03" } }]);
  expect(await schedules.runsOf(id)).toEqual([]);
  expect((await read(id)).status).toBe("active");
  expect(await schedules.look("2026-09-01T09:00:05.000Z")).toEqual(["09:00"]);
});

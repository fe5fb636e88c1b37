/** Deployments in a database of their own, with the real queue of turns and a clock that the test sets. @module */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { createAgentRepository } from "../agents/agents.ts";
import { createEnvironmentRepository } from "../agents/environments.ts";
import { type Database, openDatabase } from "../db/database.ts";
import { createTestDatabase } from "../db/testing.ts";
import { createPgBossEngine } from "../engine/pg-boss-engine.ts";
import { publicEvent } from "../sessions/event.ts";
import { appendUnderLock } from "../sessions/log.ts";
import { takeDueRuns } from "./due-runs.ts";
import type { CreateDeploymentInput, DeploymentService } from "./port.ts";
import { createDeploymentRuns } from "./runs.ts";
import { createDeploymentService } from "./service.ts";

const silent = () => undefined;

export type ScheduleTest = Awaited<ReturnType<typeof startScheduleTest>>;

/** `now` is where the clock stands at first. */
export async function startScheduleTest(now: string) {
  const test = await createTestDatabase();
  const { database } = test;
  const logged: object[] = [];
  const log = { debug: silent, info: silent, warn: silent, error: (details: object) => void logged.push(details) };
  const clock = { now: new Date(now) };
  const announced: string[] = [];
  const notices = { publish: (notice: { readonly sessionId: string }) => void announced.push(notice.sessionId) };
  // A process that takes no turns: what it is asked for stays in the queue.
  const engine = createPgBossEngine({ connectionString: test.url, database, concurrency: 0, log });
  await engine.start(() => Promise.resolve());
  const workerOf = (own: Database) => ({ database: own, notices, log, engine });
  const worker = workerOf(database);
  const deployments = createDeploymentService({ ...worker, now: () => clock.now });
  return {
    database,
    url: test.url,
    ...(await insertDeployable(database, deployments)),
    deployments,
    logged,
    announced,
    worker,
    workerOf,
    /** Sets the clock and looks once. Answers the instants of the started runs, as clocks. */
    async look(at: string, own = worker): Promise<string[]> {
      clock.now = new Date(at);
      const taken = await takeDueRuns(own, clock.now);
      return taken.map((run) => run.scheduled_at?.toISOString().slice(11, 16) ?? "by hand");
    },
    async stop(): Promise<void> {
      await engine.stop(0);
      await test.drop();
    },
  };
}

/** An organization with what a deployment needs, and its rows as a test asks for them. */
async function insertDeployable(database: Database, deployments: DeploymentService) {
  const organizationId = `org_${randomUUID()}`;
  await database.insertInto("organizations").values({ id: organizationId, name: "Test" }).execute();
  const agents = createAgentRepository(database);
  const environments = createEnvironmentRepository(database);
  const runs = createDeploymentRuns(database);
  const agent = await agents.create(organizationId, { name: "a", model: "scripted" });
  const environment = await environments.create(organizationId, { name: "e" });
  return {
    organizationId,
    agent,
    environment,
    agents,
    environments,
    deploy: (input: Partial<CreateDeploymentInput> = {}) =>
      deployments.create(organizationId, {
        name: "nightly",
        description: null,
        agent: { id: agent.id },
        environmentId: environment.id,
        initialEvents: [{ type: "user.message", content: [{ type: "text", text: "Go." }] }],
        schedule: { expression: "0 * * * *", timezone: "UTC" },
        metadata: {},
        resources: [],
        missedRuns: "run_once",
        overlap: "skip",
        ...input,
      }),
    /** The runs of a deployment, oldest first. */
    async runsOf(deploymentId: string) {
      const query = { limit: 1000, position: null, direction: "next", order: "asc", includeArchived: true } as const;
      return (await runs.list(organizationId, { ...query, deploymentId })).rows;
    },
  };
}

/** As the loop does when a turn has nothing left to do. */
export async function stopSession(
  database: Database,
  sessionId: string,
  reason: "end_turn" | "requires_action",
): Promise<void> {
  const stopped = publicEvent("session.status_idle", {
    stop_reason: reason === "end_turn" ? { type: reason } : { type: reason, event_ids: ["sevt_1"] },
    stop_details: null,
  });
  await database
    .transaction()
    .execute((transaction) => appendUnderLock(transaction, sessionId, [stopped], { status: "idle" }));
}

/** Sessions that have a turn in the queue, one entry for each turn. */
export async function queuedTurns(database: Database): Promise<string[]> {
  const { rows } = await sql<{ session: string }>`
    select data->>'sessionId' as session from exoloop_jobs.job where name = 'turns'`.execute(database);
  return rows.map((row) => row.session);
}

/** A worker whose connection the server ends after its `atQuery`-th query, as the death of its process would. */
export async function dyingWorker(
  test: Pick<ScheduleTest, "url" | "database" | "workerOf">,
  atQuery: number,
): Promise<{ worker: ReturnType<ScheduleTest["workerOf"]>; queries: () => number; close: () => Promise<void> }> {
  const name = `dying ${randomUUID().slice(0, 8)}`;
  const pool = await openDatabase(test.url, { maximumConnections: 1, applicationName: name });
  let queries = 0;
  const database = pool.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      queries += 1;
      if (queries !== atQuery) return result;
      await sql`select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = ${name}`.execute(
        test.database,
      );
      return result;
    },
  });
  return { worker: test.workerOf(database), queries: () => queries, close: () => pool.destroy() };
}

/**
 * Workers that die and workers that only stand still, as real processes: what the detector makes of them. Each worker
 * drives turns of the loop's shape: it claims, appends, works for a while, appends again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withTransaction } from "../db/database.ts";
import { seedSessions } from "../db/seed.ts";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { readLog } from "../sessions/log.ts";
import { createLogger } from "../telemetry/logger.ts";
import type { Engine } from "./engine.ts";
import { createPgBossEngine } from "./pg-boss-engine.ts";

const timeout = 1500;
const patience = { timeout: 20_000, interval: 10 };
let postgres: TestDatabase;
let waker: Engine;
const workers: Worker[] = [];

beforeEach(async () => {
  postgres = await createTestDatabase();
  const { url, database } = postgres;
  const log = createLogger("silent");
  waker = createPgBossEngine({ connectionString: url, database, concurrency: 0, log, workerTimeout: timeout });
  await waker.start(() => Promise.resolve());
});
afterEach(async () => {
  for (const worker of workers.splice(0)) worker.child.kill("SIGKILL");
  await waker.stop(0);
  await postgres.drop();
});

interface Worker {
  readonly child: ChildProcess;
  /** What it has told, one line for each: `begun ID`, `done ID`, `lost ID`. */
  readonly told: string[];
}

async function startWorker(): Promise<Worker> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", workerProgram, postgres.url, String(timeout)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const worker: Worker = { child, told: [] };
  workers.push(worker);
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => worker.told.push(line));
  await once(lines, "line");
  return worker;
}

/** `work` is how many milliseconds its turns take. */
async function session(work: number): Promise<string> {
  const { sessionIds } = await seedSessions(postgres.database, 1);
  const id = sessionIds[0] ?? "";
  await postgres.database
    .updateTable("sessions")
    .set({ title: String(work) })
    .where("id", "=", id)
    .execute();
  return id;
}
function wake(id: string): Promise<void> {
  return withTransaction(postgres.database, async (transaction) => {
    await transaction.selectFrom("sessions").select("id").where("id", "=", id).forUpdate().execute();
    await waker.wake(id, transaction);
  });
}
async function unsettled(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from exoloop_jobs.job where name = 'turns' and state < 'completed'`.execute(
    postgres.database,
  );
  return rows[0]?.count ?? 0;
}
const logOf = async (id: string) => (await readLog(postgres.database, id, 0)).map((event) => event.data?.["by"]);

test("a killed worker's turn is with another within the timeout and a second, however often it happens", async () => {
  const id = await session(60_000);
  let holder = await startWorker();
  await wake(id);
  await vi.waitFor(() => expect(holder.told).toContain(`begun ${id}`), patience);
  // Three in a row: a turn that failed by itself would wait longer each time.
  for (let death = 0; death < 3; death += 1) {
    const heir = await startWorker();
    // It has seen for long enough to judge.
    await sleep(timeout);
    const diedAt = performance.now();
    holder.child.kill("SIGKILL");
    await vi.waitFor(() => expect(heir.told).toContain(`begun ${id}`), patience);
    expect(performance.now() - diedAt).toBeLessThan(timeout + 1000);
    holder = heir;
  }
});

test("a worker that stands still past the timeout is a harmless zombie, and works on afterwards", async () => {
  const id = await session(6_000);
  const zombie = await startWorker();
  await wake(id);
  await vi.waitFor(() => expect(zombie.told).toContain(`begun ${id}`), patience);
  zombie.child.kill("SIGSTOP");
  const heir = await startWorker();
  await vi.waitFor(() => expect(heir.told).toContain(`begun ${id}`), patience);
  zombie.child.kill("SIGCONT");
  await vi.waitFor(() => expect(zombie.told).toContain(`lost ${id}`), patience);
  // What the zombie settles and beats is its own attempt: the other one's turn goes on and is nobody else's.
  await sleep(300);
  expect(await unsettled()).toBe(1);
  await vi.waitFor(() => expect(heir.told).toContain(`done ${id}`), patience);
  await vi.waitFor(async () => expect(await unsettled()).toBe(0), patience);
  expect(await logOf(id)).toEqual([zombie.child.pid, heir.child.pid, heir.child.pid]);
  // It takes turns again: the other one is gone.
  heir.child.kill("SIGKILL");
  const next = await session(1);
  await wake(next);
  await vi.waitFor(() => expect(zombie.told).toContain(`done ${next}`), patience);
  await vi.waitFor(async () => expect(await unsettled()).toBe(0), patience);
});

test("when every worker stood still, each keeps what it has: nobody is judged before it could speak", async () => {
  const ids = [await session(2500), await session(2500)];
  const both = [await startWorker(), await startWorker()];
  for (const id of ids) await wake(id);
  const told = () => both.flatMap((worker) => worker.told);
  await vi.waitFor(() => expect(told().filter((line) => line.startsWith("begun"))).toHaveLength(2), patience);
  for (const { child } of both) child.kill("SIGSTOP");
  await sleep(timeout + 500);
  for (const { child } of both) child.kill("SIGCONT");
  await vi.waitFor(() => expect(told().filter((line) => line.startsWith("done"))).toHaveLength(2), patience);
  await vi.waitFor(async () => expect(await unsettled()).toBe(0), patience);
  expect(told().filter((line) => line.startsWith("begun"))).toHaveLength(2);
  expect(told().filter((line) => line.startsWith("lost"))).toEqual([]);
});

const source = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
const workerProgram = `
  import { setTimeout as sleep } from "node:timers/promises";
  import { openDatabase } from ${source("../db/database.ts")};
  import { appendAsDriver, claimSession, ClaimLostError } from ${source("../sessions/log.ts")};
  import { publicEvent } from ${source("../sessions/event.ts")};
  import { createPgBossEngine } from ${source("./pg-boss-engine.ts")};
  const [url, timeout] = process.argv.slice(1);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const database = await openDatabase(url, { maximumConnections: 4, applicationName: "worker" });
  const engine = createPgBossEngine({ connectionString: url, database, concurrency: 2, log, workerTimeout: Number(timeout) });
  const tell = (text) => process.stdout.write(text + "\\n");
  await engine.start(async ({ sessionId }) => {
    const claim = await claimSession(database, sessionId);
    const { title } = await database.selectFrom("sessions").select("title").where("id", "=", sessionId).executeTakeFirst();
    const append = () => appendAsDriver(database, claim, [publicEvent("agent.message", { by: process.pid })]);
    await append();
    tell("begun " + sessionId);
    await sleep(Number(title));
    try {
      await append();
      tell("done " + sessionId);
    } catch (error) {
      if (!(error instanceof ClaimLostError)) throw error;
      tell("lost " + sessionId);
    }
  });
  tell("ready");
`;

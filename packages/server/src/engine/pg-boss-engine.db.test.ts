import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withTransaction } from "../db/database.ts";
import { seedSessions } from "../db/seed.ts";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { claimSession } from "../sessions/log.ts";
import { type Engine, TurnRefusedError } from "./engine.ts";
import { createPgBossEngine } from "./pg-boss-engine.ts";
import type { EngineTiming } from "./watch.ts";

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
/** So rare that only hints can have brought a turn. */
const hintsOnly: EngineTiming = { look: 60_000, beat: 1000, lost: 30_000 };
let postgres: TestDatabase;
const engines: Engine[] = [];
const children: ChildProcess[] = [];

beforeEach(async () => {
  postgres = await createTestDatabase();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const engine of engines.splice(0)) await engine.stop(0);
  await postgres.drop();
});

function build(options: { concurrency?: number; timing?: Partial<EngineTiming> } = {}): Engine {
  const engine = createPgBossEngine({
    connectionString: postgres.url,
    database: postgres.database,
    concurrency: options.concurrency ?? 4,
    log,
    timing: options.timing ?? hintsOnly,
  });
  engines.push(engine);
  return engine;
}
async function session(): Promise<string> {
  const { sessionIds } = await seedSessions(postgres.database, 1);
  return sessionIds[0] ?? "";
}
/** As the inbox does it: under the session's row lock. */
function wake(engine: Engine, id: string): Promise<void> {
  return withTransaction(postgres.database, async (transaction) => {
    await transaction.selectFrom("sessions").select("id").where("id", "=", id).forUpdate().execute();
    await engine.wake(id, transaction);
  });
}
async function until(condition: () => boolean | Promise<boolean>, milliseconds = 15_000): Promise<void> {
  for (const deadline = Date.now() + milliseconds; !(await condition()); await sleep(5)) {
    if (Date.now() > deadline) throw new Error(`the condition did not come true in ${milliseconds} ms`);
  }
}
async function unsettled(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from exoloop_jobs.job where name = 'turns' and state < 'completed'`.execute(
    postgres.database,
  );
  return rows[0]?.count ?? 0;
}

test("a wake in a transaction that is rolled back does nothing", async () => {
  const turns: string[] = [];
  const engine = build();
  await engine.start(async (turn) => void turns.push(turn.sessionId));
  const [kept, rolledBack] = [await session(), await session()];
  const failed = withTransaction(postgres.database, async (transaction) => {
    await engine.wake(rolledBack, transaction);
    throw new Error("no");
  });
  await expect(failed).rejects.toThrow("no");
  await wake(engine, kept);
  await until(async () => turns.length > 0 && (await unsettled()) === 0);
  expect(turns).toEqual([kept]);
});

test("two wakes before a turn starts are one turn; wakes while it runs are exactly one more", async () => {
  const engine = build();
  const waker = build();
  const id = await session();
  const starts: (() => void)[] = [];
  let running = 0;
  let mostAtOnce = 0;
  // Queued before any worker exists.
  await waker.start(async () => undefined);
  await waker.stop(0);
  const early = build({ concurrency: 0 });
  await early.start(async () => undefined);
  await wake(early, id);
  await wake(early, id);
  await engine.start(async () => {
    running += 1;
    mostAtOnce = Math.max(mostAtOnce, running);
    await new Promise<void>((resolve) => starts.push(resolve));
    running -= 1;
  });
  await until(() => starts.length === 1);
  expect(await unsettled()).toBe(1);
  for (let count = 0; count < 5; count += 1) await wake(engine, id);
  expect(await unsettled()).toBe(2);
  await sleep(100);
  expect(starts).toHaveLength(1);
  starts[0]?.();
  await until(() => starts.length === 2);
  starts[1]?.();
  await until(async () => (await unsettled()) === 0);
  expect(starts).toHaveLength(2);
  expect(mostAtOnce).toBe(1);
});

test("a slow turn does not hold others back, and no more run at a time than asked for", async () => {
  const engine = build({ concurrency: 3 });
  const { sessionIds } = await seedSessions(postgres.database, 12);
  const slow = sessionIds[0];
  let release: () => void = () => undefined;
  let running = 0;
  let mostAtOnce = 0;
  const done: string[] = [];
  await engine.start(async ({ sessionId }) => {
    running += 1;
    mostAtOnce = Math.max(mostAtOnce, running);
    if (sessionId === slow) await new Promise<void>((resolve) => (release = resolve));
    else await sleep(5);
    running -= 1;
    done.push(sessionId);
  });
  for (const id of sessionIds) await wake(engine, id);
  await until(() => done.length === 11);
  expect(done).not.toContain(slow);
  expect(mostAtOnce).toBe(3);
  release();
  await until(() => done.length === 12);
});

test("a turn that fails is handed out again", async () => {
  const engine = build({ timing: { look: 200, beat: 1000, lost: 30_000 } });
  const id = await session();
  let attempts = 0;
  await engine.start(async () => {
    attempts += 1;
    if (attempts === 1) throw new Error("no");
  });
  await wake(engine, id);
  await until(async () => attempts === 2 && (await unsettled()) === 0);
});

test("a turn that one worker refuses is another's, later, and no error", async () => {
  const told: string[] = [];
  const watching = { ...log, error: () => void told.push("error"), info: () => void told.push("info") };
  const timing = { look: 100, beat: 1000, lost: 30_000 };
  const { url: connectionString, database } = postgres;
  const older = createPgBossEngine({ connectionString, database, concurrency: 1, log: watching, timing });
  engines.push(older);
  const id = await session();
  await older.start(() => Promise.reject(new TurnRefusedError("too new")));
  await wake(older, id);
  await until(() => told.length > 0);
  const refusedAt = performance.now();
  await older.stop(1000);
  const newer = build({ timing });
  let turns = 0;
  await newer.start(async () => void (turns += 1));
  await until(() => turns === 1);
  expect(performance.now() - refusedAt).toBeGreaterThan(500);
  expect(told).toEqual(["info"]);
});

test("no wake is lost: 200 sessions, input racing with turns of two processes", { timeout: 60_000 }, async () => {
  const { sessionIds } = await seedSessions(postgres.database, 200);
  const consumed = new Map<string, number>();
  /** As a turn does it: claims under the row lock, consumes what it sees, and looks again before it ends. */
  const onTurn = async ({ sessionId }: { sessionId: string }) => {
    const claim = await claimSession(postgres.database, sessionId);
    if (claim === null) throw new Error("no claim");
    const row = await postgres.database
      .selectFrom("sessions")
      .select("head_seq")
      .where("id", "=", sessionId)
      .executeTakeFirstOrThrow();
    await sleep(Math.random() * 4);
    consumed.set(sessionId, Math.max(consumed.get(sessionId) ?? 0, row.head_seq));
  };
  const [first, second] = [build({ concurrency: 5 }), build({ concurrency: 5 })];
  await first.start(onTurn);
  await second.start(onTurn);
  const inputs = sessionIds.flatMap((id) => Array.from({ length: 5 }, () => id)).sort(() => Math.random() - 0.5);
  const admit = async (engine: Engine) => {
    for (let id = inputs.pop(); id !== undefined; id = inputs.pop()) {
      const sessionId = id;
      await withTransaction(postgres.database, async (transaction) => {
        await transaction
          .updateTable("sessions")
          .set((expression) => ({ head_seq: expression("head_seq", "+", 1) }))
          .where("id", "=", sessionId)
          .execute();
        await engine.wake(sessionId, transaction);
      });
    }
  };
  await Promise.all([admit(first), admit(second), admit(first)]);
  await until(async () => (await unsettled()) === 0, 30_000);
  expect(sessionIds.filter((id) => consumed.get(id) !== 5)).toEqual([]);
});

test("a later wake-up fires once, not before its time, survives a restart, and holds back no immediate wake", async () => {
  const timing = { look: 100, beat: 1000, lost: 30_000 };
  const id = await session();
  const turnsAt: number[] = [];
  const onTurn = async () => void turnsAt.push(Date.now());
  const before = build({ timing });
  await before.start(onTurn);
  const at = Date.now() + 1500;
  await withTransaction(postgres.database, (transaction) => before.wakeAt(id, new Date(at), transaction));
  await wake(before, id);
  await until(() => turnsAt.length === 1);
  expect(turnsAt[0]).toBeLessThan(at);
  await before.stop(1000);
  const after = build({ timing });
  await after.start(onTurn);
  await until(() => turnsAt.length === 2);
  expect(turnsAt[1]).toBeGreaterThanOrEqual(at);
  await sleep(300);
  expect(turnsAt).toHaveLength(2);
});

test("stop waits for running turns, and gives back the ones that do not end in time", async () => {
  const first = build();
  const id = await session();
  let begun = 0;
  await first.start(async () => {
    begun += 1;
    await new Promise(() => undefined);
  });
  await wake(first, id);
  await until(() => begun === 1);
  await first.stop(50);
  const second = build({ timing: { look: 100, beat: 1000, lost: 30_000 } });
  let turns = 0;
  await second.start(async () => void (turns += 1));
  await until(async () => turns === 1 && (await unsettled()) === 0);
});

test("the turn of a killed process is handed to another within seconds", { timeout: 30_000 }, async () => {
  const id = await session();
  const child = spawn(process.execPath, ["--input-type=module", "-e", workerProgram, postgres.url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  await once(child.stdout, "data");
  const engine = build({ concurrency: 0 });
  await engine.start(async () => undefined);
  await wake(engine, id);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  expect(line.toString()).toContain(id);
  const survivor = build({ timing: { look: 500, beat: 500, lost: 3000 } });
  const turns: string[] = [];
  await survivor.start(async (turn) => void turns.push(turn.sessionId));
  // As long as it gives signs of life, its turn stays its own.
  await sleep(4000);
  expect(turns).toEqual([]);
  child.kill("SIGKILL");
  await until(() => turns.length === 1, 15_000);
  expect(turns).toEqual([id]);
});

const workerProgram = `
  import { openDatabase } from ${JSON.stringify(new URL("../db/database.ts", import.meta.url).href)};
  import { createPgBossEngine } from ${JSON.stringify(new URL("./pg-boss-engine.ts", import.meta.url).href)};
  const url = process.argv[1];
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const database = await openDatabase(url, { maximumConnections: 2, applicationName: "worker" });
  const engine = createPgBossEngine({ connectionString: url, database, concurrency: 1, log, timing: { beat: 500 } });
  await engine.start(async ({ sessionId }) => {
    process.stdout.write(sessionId);
    await new Promise(() => undefined);
  });
  process.stdout.write("ready");
`;

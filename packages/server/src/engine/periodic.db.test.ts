import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import { createLogger } from "../telemetry/logger.ts";
import type { Engine } from "./engine.ts";
import { createPeriodicLooks } from "./periodic.ts";
import { createPgBossEngine } from "./pg-boss-engine.ts";

const log = createLogger("silent");
const patience = { timeout: 10_000, interval: 10 };
let postgres: TestDatabase;
const engines: Engine[] = [];

beforeEach(async () => {
  postgres = await createTestDatabase();
});
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop(0);
  await postgres.drop();
});

function build(concurrency = 1): Engine {
  const timing = { look: 50, beat: 250, lost: 600 };
  const engine = createPgBossEngine({
    connectionString: postgres.url,
    database: postgres.database,
    concurrency,
    log,
    timing,
  });
  engines.push(engine);
  return engine;
}
const noTurns = () => Promise.resolve();

test("periodic work is done in one worker at a time, again and again, and not more often than asked", async () => {
  const startedAt: number[] = [];
  let running = 0;
  let mostAtOnce = 0;
  for (const engine of [build(), build(), build()]) {
    engine.every("count", 300, async () => {
      startedAt.push(performance.now());
      running += 1;
      mostAtOnce = Math.max(mostAtOnce, running);
      await sleep(100);
      running -= 1;
    });
    await engine.start(noTurns);
  }
  await vi.waitFor(() => expect(startedAt.length).toBeGreaterThanOrEqual(4), patience);
  expect(mostAtOnce).toBe(1);
  // The database sets the instant, this process reads its own clock: a few milliseconds are between them.
  for (const [index, at] of startedAt.slice(1).entries()) expect(at - (startedAt[index] ?? 0)).toBeGreaterThan(280);
});

test("work that lasts longer than the timeout stays with its worker, and a failure is tried again", async () => {
  let attempts = 0;
  const signals: AbortSignal[] = [];
  for (const engine of [build(), build()]) {
    engine.every("slow", 50, async (signal) => {
      attempts += 1;
      signals.push(signal);
      await sleep(attempts === 1 ? 1500 : 1);
      if (attempts === 1) throw new Error("no");
    });
    await engine.start(noTurns);
  }
  await sleep(1200);
  expect(attempts).toBe(1);
  await vi.waitFor(() => expect(attempts).toBeGreaterThanOrEqual(2), patience);
  expect(signals[0]?.aborted).toBe(false);
});

test("another worker takes over what a dead one held, and the silent one is told to stop", async () => {
  const done: string[] = [];
  const first = build();
  let held: AbortSignal | undefined;
  first.every("held", 50, async (signal) => {
    // Having lost it, it may be the quicker one to take it again.
    if (held !== undefined) return;
    held = signal;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  await first.start(noTurns);
  await vi.waitFor(() => expect(held).toBeDefined(), patience);
  // As a worker that stood still for too long finds it.
  await sql`update periodic_looks set due_at = now() - interval '1 second', holder = 'nobody'`.execute(
    postgres.database,
  );
  const second = build();
  second.every("held", 50, async () => void done.push("second"));
  await second.start(noTurns);
  await vi.waitFor(() => expect(done.length).toBeGreaterThan(0), patience);
  await vi.waitFor(() => expect(held?.aborted).toBe(true), patience);
});

test("a process that takes no turns does no periodic work, and a name is given once", async () => {
  const engine = build(0);
  let runs = 0;
  engine.every("never", 1, async () => void (runs += 1));
  expect(() => engine.every("never", 1, async () => undefined)).toThrow("added before");
  await engine.start(noTurns);
  expect(() => engine.every("late", 1, async () => undefined)).toThrow("after the engine's start");
  await sleep(300);
  expect(runs).toBe(0);
});

test("of many workers that find the same work due, one does it", async () => {
  const { database } = postgres;
  let runs = 0;
  const looks = Array.from({ length: 8 }, () => createPeriodicLooks({ database, leaseMilliseconds: 5000, log }));
  for (const look of looks) {
    look.add("once", 60_000, async () => void (runs += 1));
    await look.prepare();
  }
  for (const look of looks) look.begin(["once", "unknown"]);
  await vi.waitFor(() => expect(runs).toBeGreaterThan(0), patience);
  for (const look of looks) await look.stop(5000);
  expect(runs).toBe(1);
});

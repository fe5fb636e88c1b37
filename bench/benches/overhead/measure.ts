/** The figures that every contender has, measured alike. Each starts its own workers and stops them. @module */
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "@exoloop/server/db/database";
import { sql } from "kysely";
import type { Worker } from "./child.ts";
import type { Contender } from "./contender.ts";
import { hang } from "./instant.ts";
import { createSessions, pairTimes, spanSeconds, untilIdle, wakeTime } from "./sessions.ts";

export async function withWorkers<Result>(
  contender: Contender,
  count: number,
  turns: number,
  work: (workers: readonly Worker[]) => Promise<Result>,
): Promise<Result> {
  const workers: Worker[] = [];
  try {
    for (let index = 0; index < count; index += 1) workers.push(await contender.startWorker(turns));
    return await work(workers);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** Pairs of a model call and a tool call in a turn: with the last model call it stays within the limit of a turn. */
const rounds = 19;

/** Milliseconds of each step of one session at a time: half of each pair. */
export async function measureStep(contender: Contender, database: Database, sessions: number): Promise<number[]> {
  return withWorkers(contender, 1, 4, async () => {
    const samples: number[] = [];
    const ids = await createSessions(database, sessions + 2);
    for (const [index, id] of ids.entries()) {
      await contender.send(id, String(rounds));
      await untilIdle(database, [id]);
      // The first ones are those of a cold process.
      if (index >= 2) samples.push(...(await pairTimes(database, id)).map((pair) => pair / 2));
    }
    return samples;
  });
}

/** Steps per second of one worker with 100 concurrent sessions, once for each repetition. */
export async function measureThroughput(
  contender: Contender,
  database: Database,
  repetitions: number,
): Promise<number[]> {
  const concurrent = 100;
  return withWorkers(contender, 1, concurrent, async () => {
    const samples: number[] = [];
    for (let repetition = 0; repetition <= repetitions; repetition += 1) {
      const ids = await createSessions(database, concurrent);
      await Promise.all(ids.map((id) => contender.send(id, String(rounds))));
      await untilIdle(database, ids);
      // The first is that of a cold process.
      if (repetition > 0) samples.push((concurrent * (2 * rounds + 1)) / (await spanSeconds(database, ids)));
    }
    return samples;
  });
}

/** Milliseconds from a message to the first row of its turn, one session after the other. */
export async function measureWakes(
  contender: Contender,
  database: Database,
  sessionIds: readonly string[],
): Promise<number[]> {
  const samples: number[] = [];
  for (const id of sessionIds) {
    await contender.send(id, "0");
    samples.push(await firstAnswer(database, id));
    // At another place of every interval that something is looked at in.
    await sleep(20 + (samples.length % 25) * 7);
  }
  return samples;
}

async function firstAnswer(database: Database, sessionId: string): Promise<number> {
  for (let attempt = 0; attempt < 600; attempt += 1) {
    const milliseconds = await wakeTime(database, sessionId);
    if (milliseconds !== null) return milliseconds;
    await sleep(20);
  }
  throw new Error("a session was not woken within 12 seconds");
}

/** Postgres gives out an idle connection's counts only after ten seconds. */
const statisticsDelayMs = 12_000;

/** Transactions per second of the whole database while nothing happens. */
export async function measureIdle(database: Database, seconds: number): Promise<number> {
  const read = async () => {
    const { rows } = await sql<{ count: number; at: number }>`
      select (xact_commit + xact_rollback)::float8 as count, extract(epoch from clock_timestamp())::float8 as at
      from pg_stat_database where datname = current_database()`.execute(database);
    return rows[0] ?? { count: 0, at: 0 };
  };
  await sleep(statisticsDelayMs);
  const before = await read();
  await sleep(seconds * 1000);
  const after = await read();
  return (after.count - before.count) / (after.at - before.at);
}

/** Milliseconds from the SIGKILL of a worker in the middle of a model call to the first row of another worker. */
export async function measureRecovery(contender: Contender, database: Database, deaths: number): Promise<number[]> {
  const samples: number[] = [];
  for (let death = 0; death < deaths; death += 1) {
    const [id = ""] = await createSessions(database, 1);
    const doomed = await contender.startWorker(4);
    await contender.send(id, hang);
    await until(async () => (await lastRow(database, id)).type === "span.model_request_start");
    await withWorkers(contender, 1, 4, async () => {
      // Long enough that the heir has looked around; not always at the same place of an interval.
      await sleep(2000 + death * 130);
      const before = await lastRow(database, id);
      const { rows } = await sql<{ now: number }>`select extract(epoch from clock_timestamp())::float8 as now`.execute(
        database,
      );
      await doomed.kill();
      await until(async () => (await lastRow(database, id)).epoch > before.epoch);
      samples.push(((await firstOfEpoch(database, id, before.epoch + 1)) - (rows[0]?.now ?? 0)) * 1000);
      await database.updateTable("sessions").set({ status: "terminated" }).where("id", "=", id).execute();
    });
  }
  return samples;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await condition()); await sleep(50))
    if (Date.now() > deadline) throw new Error("a session did not get on within a minute");
}

async function lastRow(
  database: Database,
  sessionId: string,
): Promise<{ readonly type: string; readonly epoch: number }> {
  const row = await database
    .selectFrom("session_events")
    .select(["type", "epoch"])
    .where("session_id", "=", sessionId)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return { type: row?.type ?? "", epoch: Number(row?.epoch ?? 0) };
}

async function firstOfEpoch(database: Database, sessionId: string, epoch: number): Promise<number> {
  const { rows } = await sql<{ at: number }>`
    select extract(epoch from min(created_at))::float8 as at from session_events
    where session_id = ${sessionId} and epoch >= ${epoch}`.execute(database);
  return rows[0]?.at ?? 0;
}

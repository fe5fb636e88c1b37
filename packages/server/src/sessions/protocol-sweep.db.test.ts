import { afterEach, beforeEach, expect, test } from "vitest";
import { seedSessions } from "../db/seed.ts";
import { createTestDatabase, type TestDatabase } from "../db/testing.ts";
import type { SessionStatus } from "../db/tables.ts";
import { publicEvent } from "./event.ts";
import { appendUnderLock } from "./log.ts";
import { wakeOlderSessions } from "./protocol-sweep.ts";

let postgres: TestDatabase;
beforeEach(async () => {
  postgres = await createTestDatabase();
});
afterEach(() => postgres.drop());

test("an upgrade wakes the unfinished sessions of older versions, all of them, and nothing else", async () => {
  const { database } = postgres;
  const { sessionIds } = await seedSessions(database, 260);
  const set = async (ids: readonly string[], status: SessionStatus, protocol_version: number) => {
    await database.updateTable("sessions").set({ status, protocol_version }).where("id", "in", ids).execute();
  };
  const [running, rescheduling] = [sessionIds.slice(0, 150), sessionIds.slice(150, 210)];
  await set(running, "running", 1);
  await set(rescheduling, "rescheduling", 0);
  await set(sessionIds.slice(210, 220), "idle", 1);
  await set(sessionIds.slice(220, 230), "terminated", 1);
  await set(sessionIds.slice(230, 240), "running", 2);
  await set(sessionIds.slice(240, 250), "running", 3);
  const archived = sessionIds.slice(250);
  await set(archived, "running", 1);
  await database.updateTable("sessions").set({ archived_at: new Date() }).where("id", "in", archived).execute();
  const woken: string[] = [];
  const engine = { wake: (id: string) => Promise.resolve(void woken.push(id)) };
  const rests = (ids: readonly string[], ...reasons: string[]) =>
    Promise.all(
      ids.map((id) =>
        appendUnderLock(
          database,
          id,
          reasons.map((type) => publicEvent("session.status_idle", { stop_reason: { type } })),
        ),
      ),
    );
  const asking = sessionIds.slice(210, 213);
  await rests(asking, "end_turn", "requires_action");
  await rests(sessionIds.slice(213, 216), "requires_action", "end_turn");
  await rests(sessionIds.slice(220, 223), "requires_action");
  expect(await wakeOlderSessions(database, engine, 2)).toBe(213);
  expect(woken.toSorted()).toEqual([...running, ...rescheduling, ...asking].toSorted());
});

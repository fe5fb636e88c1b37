import type { Kysely } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Tables } from "../db/tables.ts";
import { createTestDatabase } from "../db/testing.ts";
import { publicEvent } from "./event.ts";
import {
  appendAsDriver,
  appendUnderLock,
  type Claim,
  ClaimLostError,
  claimSession,
  NewerProtocolError,
  readLog,
} from "./log.ts";
import { insertTestSession } from "./testing-database.ts";

const event = (name: string) => publicEvent("agent.message", { name });

describe("the log", () => {
  let test: Awaited<ReturnType<typeof createTestDatabase>>;
  let database: Kysely<Tables>;
  beforeAll(async () => {
    test = await createTestDatabase();
    database = test.database;
  });
  afterAll(() => test.drop());

  async function claimed(): Promise<Claim> {
    const { sessionId } = await insertTestSession(database);
    const claim = await claimSession(database, sessionId);
    if (claim === null) throw new Error("no claim");
    return claim;
  }

  it("numbers events without gaps and in the order given", async () => {
    const claim = await claimed();
    await appendAsDriver(database, claim, [event("a"), event("b")]);
    await appendAsDriver(database, claim, [event("c")]);
    const log = await readLog(database, claim.sessionId, 0);
    expect(log.map((entry) => [entry.seq, entry.data?.["name"]])).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ]);
    expect(await readLog(database, claim.sessionId, 2)).toHaveLength(1);
  });

  it("stores what commands print and models write, also where jsonb would refuse it", async () => {
    const claim = await claimed();
    const odd = "NUL \0, halves \ud83d and \ude00, whole 😀, a backslash \\u0000 \\\\ud800, a tab \t, \u001b";
    const stored = await appendAsDriver(database, claim, [publicEvent("agent.message", { [odd]: [odd] })]);
    const clean = "NUL \ufffd, halves \ufffd and \ufffd, whole 😀, a backslash \\u0000 \\\\ud800, a tab \t, \u001b";
    expect(stored?.[0]?.data).toEqual({ [clean]: [clean] });
  });

  it("writes audit rows with the events they are about, or neither", async () => {
    const zombie = await claimed();
    const claim = await claimSession(database, zombie.sessionId);
    if (claim === null) throw new Error("no claim");
    const entry = {
      action: "tool.call",
      resource: "bash",
      decision: "deny",
      reasons: ['"odd" \0'],
      digest: "d",
    } as const;
    const audit = [entry, { ...entry, resource: "read" }];
    await expect(appendAsDriver(database, zombie, [event("late")], { audit })).rejects.toThrow(ClaimLostError);
    expect(await appendAsDriver(database, claim, [event("late")], { audit, onlyAt: 7 })).toBeNull();
    await appendAsDriver(database, claim, [event("decided")], { audit });
    const rows = await database
      .selectFrom("audit_log")
      .select(["organization_id", "principal", "resource", "decision", "reasons"])
      .where("session_id", "=", claim.sessionId)
      .orderBy("id")
      .execute();
    const row = { organization_id: claim.organizationId, decision: "deny", reasons: ['"odd" \ufffd'] };
    const principal = { type: "session", id: claim.sessionId };
    expect(rows).toEqual([
      { ...row, principal, resource: "bash" },
      { ...row, principal, resource: "read" },
    ]);
  });

  it("refuses a driver whose claim was taken over, and writes nothing of it", async () => {
    const zombie = await claimed();
    const successor = await claimSession(database, zombie.sessionId);
    await expect(appendAsDriver(database, zombie, [event("late")])).rejects.toThrow(ClaimLostError);
    await expect(appendAsDriver(database, zombie, [event("late")], { onlyAt: 0 })).rejects.toThrow(ClaimLostError);
    expect(await readLog(database, zombie.sessionId, 0)).toEqual([]);
    if (successor === null) throw new Error("no claim");
    await appendAsDriver(database, successor, [event("mine")]);
    expect(await readLog(database, zombie.sessionId, 0)).toHaveLength(1);
  });

  it("appends only at the expected end, so that a wait never misses input", async () => {
    const claim = await claimed();
    await database
      .transaction()
      .execute((transaction) => appendUnderLock(transaction, claim.sessionId, [event("input")]));
    expect(await appendAsDriver(database, claim, [event("idle")], { onlyAt: 0 })).toBeNull();
    expect(await appendAsDriver(database, claim, [event("idle")], { onlyAt: 1, status: "idle" })).toHaveLength(1);
  });

  it("stays gap-free under concurrent writers", async () => {
    const claim = await claimed();
    const writers = Array.from({ length: 20 }, (_, index) =>
      index % 2 === 0
        ? appendAsDriver(database, claim, [event(`driver ${index}`), event(`driver ${index} again`)])
        : database
            .transaction()
            .execute((transaction) => appendUnderLock(transaction, claim.sessionId, [event(`input ${index}`)])),
    );
    await Promise.all(writers);
    const log = await readLog(database, claim.sessionId, 0);
    expect(log.map((entry) => entry.seq)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  });

  it("leaves no number behind when a transaction is rolled back", async () => {
    const claim = await claimed();
    const failed = database.transaction().execute(async (transaction) => {
      await appendUnderLock(transaction, claim.sessionId, [event("lost")]);
      throw new Error("rolled back");
    });
    await expect(failed).rejects.toThrow("rolled back");
    const stored = await appendAsDriver(database, claim, [event("first")]);
    expect(stored?.[0]?.seq).toBe(1);
  });

  it("gives no claim on a session that has ended", async () => {
    const { sessionId } = await insertTestSession(database);
    await database.updateTable("sessions").set({ archived_at: new Date() }).where("id", "=", sessionId).execute();
    expect(await claimSession(database, sessionId)).toBeNull();
  });

  it("leaves a session alone that a newer version of the loop has driven", async () => {
    const { sessionId } = await insertTestSession(database);
    expect(await claimSession(database, sessionId, 1)).toMatchObject({ epoch: 1 });
    expect(await claimSession(database, sessionId, 2)).toMatchObject({ epoch: 2 });
    await expect(claimSession(database, sessionId, 1)).rejects.toThrow(NewerProtocolError);
    const row = await database
      .selectFrom("sessions")
      .select(["epoch", "protocol_version"])
      .where("id", "=", sessionId)
      .executeTakeFirst();
    expect(row).toEqual({ epoch: 2, protocol_version: 2 });
    await database.updateTable("sessions").set({ archived_at: new Date() }).where("id", "=", sessionId).execute();
    expect(await claimSession(database, sessionId, 1)).toBeNull();
  });
});

/** The ledger and the logs say the same, wherever a worker was stopped. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { driveTurn, type DriverDependencies } from "../loop/driver.ts";
import { gatedEffects, type Moment, nobody, stopAt, WorkerStopped } from "../loop/testing/stopped-worker.ts";
import { script, startTurnTest, type TurnTest } from "../loop/testing.ts";
import { admit } from "../sessions/inbox.ts";
import { lockSession } from "../sessions/locked-session.ts";
import { readLog } from "../sessions/log.ts";
import { createSessionService } from "../sessions/service.ts";
import { noSandboxes, type TestSession } from "../sessions/testing-database.ts";
import { insertSession, readLedger, sumLogs } from "./testing.ts";

const work = script([
  {
    toolCalls: [
      { name: "read", input: { awakeMs: 20 } },
      { name: "read", input: {} },
    ],
  },
  { text: "Next.", toolCalls: [{ name: "bash", input: { awakeMs: 700, sleepMs: 5 } }] },
  { text: "Done." },
]);

describe("the ledger", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
  }, 60_000);
  afterAll(() => turns.stop());

  const dependencies = (): DriverDependencies => ({ ...turns.dependencies, engine: nobody });
  const newSession = async () => {
    const { database } = turns.test;
    const session = await insertSession(database);
    await database.transaction().execute(async (transaction) => {
      await lockSession(transaction, session.organizationId, session.sessionId);
      await admit(transaction, nobody, session.sessionId, [work]);
    });
    return session;
  };
  /** Running time is compared to the millisecond: the two clocks' roundings may differ by one in each span. */
  const expectExact = async ({ organizationId }: TestSession) => {
    const { runningMs, ...sums } = await sumLogs(turns.test.database, organizationId);
    const nothing = { tokens: 0, costMicros: 0, steps: 0, sandboxMs: 0, runningMs: 0 };
    const { organization = nothing, user = nothing } = await readLedger(turns.test.database, organizationId);
    expect(organization).toMatchObject(sums);
    expect(Math.abs(organization.runningMs - runningMs)).toBeLessThanOrEqual(1);
    expect(user).toEqual(organization);
    return sums;
  };

  it("is exact after a turn that nothing disturbed", async () => {
    const session = await newSession();
    await driveTurn(dependencies(), session.sessionId);
    const sums = await expectExact(session);
    expect(sums).toMatchObject({ steps: 6, sandboxMs: 720 });
    expect(sums.costMicros).toBeGreaterThan(0);
    const events = await readLog(turns.test.database, session.sessionId, 0);
    expect(events.at(-1)?.type).toBe("session.status_idle");
    expect((await readLedger(turns.test.database, session.organizationId))["user"]?.runningMs).toBeGreaterThanOrEqual(
      5,
    );
  });

  it.each<Moment>(["before", "after"])("is exact when workers are stopped %s any effect", async (moment) => {
    let stops = 0;
    for (let at = 1; ; at += 1) {
      const session = await newSession();
      const wrapEffects = stopAt(at, moment);
      const stopped = await driveTurn({ ...dependencies(), wrapEffects }, session.sessionId).then(
        () => false,
        (error: unknown) => error instanceof WorkerStopped,
      );
      await expectExact(session);
      await driveTurn(dependencies(), session.sessionId);
      const sums = await expectExact(session);
      expect(sums.steps).toBeGreaterThanOrEqual(6);
      if (!stopped) break;
      stops += 1;
    }
    // Appends, model calls and tool calls of this turn.
    expect(stops).toBeGreaterThan(gatedEffects.length * 3);
  });

  it("charges the running time of a session that is archived while it runs", async () => {
    const session = await newSession();
    const wrapEffects = stopAt(2, "after");
    await expect(driveTurn({ ...dependencies(), wrapEffects }, session.sessionId)).rejects.toThrow();
    const { database } = turns.test;
    const service = createSessionService({
      database,
      engine: nobody,
      notices: turns.notices,
      isPriced: () => true,
      ...noSandboxes,
    });
    await new Promise((resolve) => setTimeout(resolve, 30));
    const principal = { organizationId: session.organizationId, apiKeyId: session.createdBy, scopes: [] };
    await service.archive(principal, session.sessionId);
    await expectExact(session);
    const ledger = await readLedger(database, session.organizationId);
    expect(ledger["organization"]?.runningMs).toBeGreaterThanOrEqual(30);
  });
});

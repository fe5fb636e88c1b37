/** Budgets that sessions share, in real turns. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BudgetReached } from "../loop/budgets.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "../loop/testing.ts";
import type { TestSession } from "../sessions/testing-database.ts";
import { createBudgetService } from "./budget-service.ts";
import { createSharedBudget } from "./shared-budgets.ts";
import { insertSession, insertSibling, readLedger, sumLogs } from "./testing.ts";

const call = { name: "write", input: {} };
/** Eight steps and the last word. */
const work = script([...Array.from({ length: 4 }, () => ({ toolCalls: [call] })), { text: "Done." }]);

describe("a shared budget", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest();
    Object.assign(turns.dependencies, { sharedBudget: createSharedBudget(turns.test.database, { rememberMs: 0 }) });
  }, 60_000);
  afterAll(() => turns.stop());

  const budgets = () => createBudgetService({ database: turns.test.database, engine: turns.dependencies.engine });
  const principalOf = (organizationId: string) => ({ organizationId, apiKeyId: "key_1", scopes: ["admin"] });

  it("of an organization parks all its sessions, and they go on when it is raised", async () => {
    const first = await insertSession(turns.test.database);
    const second = await insertSibling(turns.test.database, first);
    const other = await insertSession(turns.test.database);
    const { organizationId } = first;
    const name = { scope: "organization", period: "month" } as const;
    await budgets().put(principalOf(organizationId), { ...name, limits: { steps: 6 } });
    await Promise.all([first, second, other].map((session) => turns.send(session, work)));
    const parked = await Promise.all([first, second].map((session) => turns.eventually(session, idleTimes(1))));
    for (const events of parked) {
      expect(events.at(-1)?.data).toMatchObject({
        stop_reason: { type: "budget_reached" },
        x_exoloop: { budget_reached: { scope: "organization", kind: "steps", limit: 6 } },
      });
    }
    const { steps } = await sumLogs(turns.test.database, organizationId);
    // Of each session one step may be under way, and the result of another not yet written.
    expect(steps).toBeGreaterThanOrEqual(6);
    expect(steps).toBeLessThan(10);
    const free = await turns.eventually(other, idleTimes(1));
    expect(free.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    const [listed] = await budgets().list(principalOf(organizationId));
    expect(listed).toMatchObject({ used: { steps }, reached: { kind: "steps", limit: 6, used: steps } });
    await budgets().put(principalOf(organizationId), { ...name, limits: { steps: 600 } });
    for (const session of [first, second]) {
      const events = await turns.eventually(session, idleTimes(2));
      expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    }
    const ledger = await readLedger(turns.test.database, organizationId);
    expect(ledger["organization"]?.steps).toBe(18);
  }, 30_000);

  it("of a user holds only that user, and goes when it is removed", async () => {
    const session = await insertSession(turns.test.database);
    const principal = principalOf(session.organizationId);
    const name = { scope: "user", subject: session.createdBy, period: "total" } as const;
    await budgets().put(principal, { scope: "user", subject: "*", period: "total", limits: { steps: 500 } });
    await budgets().put(principal, { ...name, limits: { tokens: 1 } });
    await turns.send(session, work);
    const parked = await turns.eventually(session, idleTimes(1));
    expect(parked.at(-1)?.data).toMatchObject({
      x_exoloop: { budget_reached: { scope: "user", kind: "tokens", resets_at: null } },
    });
    await budgets().delete(principal, name);
    const events = await turns.eventually(session, idleTimes(2));
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  }, 30_000);

  it("that was raised while a session was coming to rest is seen by a second look", async () => {
    const session = await insertSession(turns.test.database);
    let rested = false;
    const reached: BudgetReached = { scope: "organization", kind: "steps", limit: 1, used: 1 };
    // What is known before the session rests is old: nobody has such a budget any more, and nobody wakes the session.
    const { sharedBudget } = turns.dependencies;
    Object.assign(turns.dependencies, {
      sharedBudget: ({ sessionId }: TestSession) =>
        Promise.resolve(sessionId === session.sessionId && !rested ? reached : null),
    });
    await turns.send(session, work);
    await turns.eventually(session, idleTimes(1));
    rested = true;
    const events = await turns.eventually(session, idleTimes(2));
    Object.assign(turns.dependencies, { sharedBudget });
    expect(events.find((event) => event.type === "session.status_idle")?.data).toMatchObject({
      stop_reason: { type: "budget_reached" },
    });
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  }, 30_000);

  it("begins anew with its period, and of several the one that lasts longest is told", async () => {
    const session = await insertSession(turns.test.database);
    const { organizationId, createdBy } = session;
    await turns.send(session, work);
    await turns.eventually(session, idleTimes(1));
    const principal = principalOf(organizationId);
    await budgets().put(principal, { scope: "organization", period: "day", limits: { steps: 2 } });
    await budgets().put(principal, { scope: "user", subject: "*", period: "month", limits: { cost_usd: 0.000001 } });
    const claim = { organizationId, sessionId: session.sessionId, epoch: 1, createdBy };
    const at = (now: number) => createSharedBudget(turns.test.database, { now: () => now })(claim);
    const today = new Date();
    const month = Date.UTC(today.getUTCFullYear(), today.getUTCMonth() + 1, 1);
    expect(await at(today.getTime())).toMatchObject({ scope: "user", kind: "costMicros", resetsAt: month });
    expect(await at(month + 1)).toBeNull();
    await budgets().delete(principal, { scope: "user", subject: "*", period: "month" });
    expect(await at(today.getTime())).toMatchObject({ scope: "organization", kind: "steps", limit: 2, used: 9 });
    expect(await at(today.getTime() + 24 * 3_600_000)).toBeNull();
  });

  it("costs an organization without budgets no query of its own", async () => {
    const session = await insertSession(turns.test.database);
    const queries: string[] = [];
    const counting = turns.test.database.withPlugin({
      transformQuery: ({ node }) => {
        queries.push(node.kind);
        return node;
      },
      transformResult: ({ result }) => Promise.resolve(result),
    });
    const shared = createSharedBudget(counting);
    const claim = { organizationId: session.organizationId, sessionId: session.sessionId, epoch: 1 };
    for (let look = 0; look < 20; look += 1) expect(await shared(claim)).toBeNull();
    for (let look = 0; look < 20; look += 1) {
      expect(await shared({ ...claim, organizationId: "org_another" })).toBeNull();
    }
    expect(queries).toHaveLength(1);
  });
});

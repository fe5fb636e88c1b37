/** Workers that are lost while an approval expires: it is answered once, and the session goes on. */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { admit } from "../sessions/inbox.ts";
import { lockSession } from "../sessions/locked-session.ts";
import { readLog } from "../sessions/log.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { driveTurn } from "./driver.ts";
import { brokenInvariants } from "./testing/log-invariants.ts";
import { type Moment, nobody, stopAt, WorkerStopped } from "./testing/stopped-worker.ts";
import { script, startTurnTest, type TurnTest } from "./testing.ts";

const approvalMs = 50;

let turns: TurnTest;
beforeAll(async () => {
  turns = await startTurnTest({ drives: false });
}, 60_000);
afterAll(() => turns.stop());

it.each<Moment>(["before", "after"])("are followed by others when they are stopped %s any effect", async (moment) => {
  const { database } = turns.test;
  const dependencies = { ...turns.dependencies, engine: nobody, approvalMs };
  let stops = 0;
  for (let at = 1; ; at += 1) {
    const session = await insertTestSession(database, {
      tools: [
        {
          type: "agent_toolset_20260401",
          default_config: { enabled: true, permission_policy: { type: "always_ask" } },
          configs: [],
        },
      ],
    });
    const { organizationId, sessionId } = session;
    await database.transaction().execute(async (transaction) => {
      await lockSession(transaction, organizationId, sessionId);
      await admit(transaction, nobody, sessionId, [
        script([{ toolCalls: [{ name: "write", input: {} }] }, { text: "I see." }]),
      ]);
    });
    await driveTurn({ ...dependencies, approvalMs: 60_000 }, sessionId);
    await pause(approvalMs);
    const stopped = await driveTurn({ ...dependencies, wrapEffects: stopAt(at, moment) }, sessionId).then(
      () => false,
      (error: unknown) => error instanceof WorkerStopped,
    );
    await driveTurn(dependencies, sessionId);
    const events = await readLog(database, sessionId, 0);
    expect(brokenInvariants(events)).toEqual([]);
    expect(events.filter(({ type }) => type === "user.tool_confirmation")).toHaveLength(1);
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    if (!stopped) break;
    stops += 1;
  }
  expect(turns.ran).toEqual([]);
  // The answer, its consumption with the result, the model's call and answer, the rest.
  expect(stops).toBeGreaterThanOrEqual(4);
});

/** Workers that are lost while an approval expires: it is answered once, and the session goes on. */
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { admit } from "../sessions/inbox.ts";
import type { Input } from "../sessions/input.ts";
import { lockSession } from "../sessions/locked-session.ts";
import { readLog } from "../sessions/log.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import type { AgentSnapshot } from "./context.ts";
import { driveTurn } from "./driver.ts";
import type { Effects } from "./effects.ts";
import { brokenInvariants } from "./testing/log-invariants.ts";
import { type Moment, nobody, stopAt, WorkerStopped } from "./testing/stopped-worker.ts";
import { script, startTurnTest, type TurnTest } from "./testing.ts";

const approvalMs = 50;

let turns: TurnTest;
beforeAll(async () => {
  turns = await startTurnTest({ drives: false });
}, 60_000);
afterAll(() => turns.stop());

const tools: AgentSnapshot["tools"] = [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type: "always_ask" } },
    configs: [],
  },
];

/** A session whose approval's time is over, and nobody has looked. */
async function insertExpired(): Promise<TestSession> {
  const { database } = turns.test;
  const session = await insertTestSession(database, { tools });
  await send(session, script([{ toolCalls: [{ name: "write", input: {} }] }, { text: "I see." }]));
  await driveTurn({ ...turns.dependencies, engine: nobody, approvalMs: 60_000 }, session.sessionId);
  await pause(approvalMs);
  return session;
}

async function send({ organizationId, sessionId }: TestSession, input: Input): Promise<void> {
  await turns.test.database.transaction().execute(async (transaction) => {
    await lockSession(transaction, organizationId, sessionId);
    await admit(transaction, nobody, sessionId, [input]);
  });
}

it("loses against the answer that came just before it", async () => {
  turns.ran.length = 0;
  const { database } = turns.test;
  const session = await insertExpired();
  const asked = (await readLog(database, session.sessionId, 0)).find(({ type }) => type === "agent.tool_use");
  const allow = { type: "user.tool_confirmation", tool_use_id: asked?.id ?? "", result: "allow" } as const;
  let answers = 0;
  const answering = (effects: Effects): Effects => ({
    ...effects,
    async append(request) {
      const expires = request.events.some(({ type }) => type === "user.tool_confirmation");
      if (expires && answers++ === 0) await send(session, allow);
      return effects.append(request);
    },
  });
  const dependencies = { ...turns.dependencies, engine: nobody, approvalMs, wrapEffects: answering };
  await driveTurn(dependencies, session.sessionId);
  const events = await readLog(database, session.sessionId, 0);
  expect(brokenInvariants(events)).toEqual([]);
  expect(events.filter(({ type }) => type === "user.tool_confirmation").map(({ data }) => data)).toEqual([
    { tool_use_id: allow.tool_use_id, result: "allow" },
  ]);
  expect([answers, turns.ran]).toEqual([1, ["write"]]);
  turns.ran.length = 0;
});

it.each<Moment>(["before", "after"])("are followed by others when they are stopped %s any effect", async (moment) => {
  const { database } = turns.test;
  const dependencies = { ...turns.dependencies, engine: nobody, approvalMs };
  let stops = 0;
  for (let at = 1; ; at += 1) {
    const { sessionId } = await insertExpired();
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

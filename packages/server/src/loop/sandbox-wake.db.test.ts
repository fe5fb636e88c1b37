/** The sandbox is woken while the model still writes its call, and left alone when no command will come. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { insertTestSession } from "../sessions/testing-database.ts";
import type { AgentSnapshot } from "./context.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";

const policy = (type: "always_ask" | "always_allow"): AgentSnapshot["tools"] => [
  {
    type: "agent_toolset_20260401",
    default_config: { enabled: true, permission_policy: { type } },
    configs: [],
  },
];

describe("the early wake", () => {
  let turns: TurnTest;
  let told: string[];
  beforeAll(async () => {
    turns = await startTurnTest({
      sandboxWake: {
        expect: ({ sessionId }) => void told.push(`expect ${sessionId} after ${turns.ran.length} calls`),
        withdraw: ({ sessionId }) => void told.push(`withdraw ${sessionId}`),
      },
    });
  }, 60_000);
  beforeEach(() => {
    told = [];
    turns.ran.splice(0);
  });
  afterAll(() => turns.stop());

  it("comes before the call runs, for calls that run commands only, and ends with the next model call", async () => {
    const session = await insertTestSession(turns.test.database);
    const { sessionId } = session;
    await turns.send(
      session,
      script([
        { toolCalls: [{ name: "read", input: {} }] },
        { toolCalls: [{ name: "bash", input: {} }] },
        { text: "Done." },
      ]),
    );
    await turns.eventually(session, idleTimes(1));
    const withdrawal = `withdraw ${sessionId}`;
    expect(told).toEqual([withdrawal, withdrawal, `expect ${sessionId} after 1 calls`, withdrawal]);
  });

  it("does not come for a call that somebody must approve first", async () => {
    const session = await insertTestSession(turns.test.database, { tools: policy("always_ask") });
    await turns.send(session, script([{ toolCalls: [{ name: "bash", input: {} }] }, { text: "Done." }]));
    await turns.eventually(session, idleTimes(1));
    expect(told.filter((line) => line.startsWith("expect"))).toEqual([]);
  });
});

/** Compaction in real turns: a small window, the scripted model, and every request that it was sent. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createModelCatalog } from "../models/catalog.ts";
import type { ModelProvider, ModelRequest, TranscriptMessage } from "../models/model.ts";
import { createModels } from "../models/registry.ts";
import type { LogEvent } from "../sessions/event.ts";
import { insertTestSession } from "../sessions/testing-database.ts";
import { driveTurn } from "./driver.ts";
import { idleTimes, script, startTurnTest, type TurnTest } from "./testing.ts";

const contextWindow = 2_000;
const requests: ModelRequest[] = [];
const played = createModels({});
const recorded: ModelProvider = {
  ...played,
  stream(request) {
    requests.push(request);
    return played.stream(request);
  },
};

/** Steps whose results fill a window of 2,000 tokens after about five of them. */
function longSteps(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    text: `Step ${index}.`,
    toolCalls: [{ name: "write", input: { characters: 1_000 } }],
  }));
}

const compactions = (events: readonly LogEvent[]) =>
  events.filter((event) => event.type === "agent.thread_context_compacted");
const said = (events: readonly LogEvent[]) =>
  events.flatMap((event) => (event.type === "agent.message" ? [textOf(event.data?.["content"])] : []));
const textOf = (content: unknown) => (content as readonly { readonly text: string }[])[0]?.text;
const errors = (events: readonly LogEvent[]) =>
  events.flatMap((event) => (event.type === "session.error" ? [event.data?.["error"]] : []));
const isCompaction = (request: ModelRequest) =>
  JSON.stringify(request.messages.at(-1)).includes("<compaction_request>");

describe("compaction", () => {
  let turns: TurnTest;
  beforeAll(async () => {
    turns = await startTurnTest({
      models: recorded,
      catalog: createModelCatalog({ "scripted/*": { contextWindow }, scripted: { contextWindow } }),
    });
  }, 60_000);
  afterAll(() => turns.stop());
  beforeEach(() => {
    requests.length = 0;
    turns.ran.length = 0;
  });

  const send = (steps: readonly object[], count = 1) =>
    turns.send(session, script([...steps])).then(() => turns.eventually(session, idleTimes(count)));
  let session: Awaited<ReturnType<typeof insertTestSession>>;
  beforeEach(async () => {
    session = await insertTestSession(turns.test.database);
  });

  it("comes before the window is full, more than once, and every step is played exactly once", async () => {
    const events = await send([...longSteps(16), { text: "The end." }]);
    expect(compactions(events).length).toBeGreaterThan(1);
    expect(said(events)).toEqual([...longSteps(16), { text: "The end." }].map(({ text }) => text));
    expect(turns.ran.filter((name) => name === "write")).toHaveLength(16);
    expect(errors(events)).toEqual([]);
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
  });

  it("is the only thing that changes the beginning of what the model is sent", async () => {
    await send([...longSteps(9), { text: "The end." }]);
    await turns.send(session, script([{ text: "Again." }]));
    await turns.eventually(session, idleTimes(2));
    const steps = requests.filter((request) => !isCompaction(request));
    expect(new Set(requests.map((request) => JSON.stringify([request.system, request.tools]))).size).toBe(1);
    let changed = 0;
    for (const [index, request] of steps.entries()) {
      const before = steps[index - 1];
      if (before !== undefined && !startsWith(request.messages, before.messages)) changed += 1;
    }
    expect(changed).toBe(requests.filter(isCompaction).length);
    expect(changed).toBeGreaterThan(0);
  });

  it("follows an overflow that came early, and the step is played after it", async () => {
    const overflow = { text: "Here.", fault: { kind: "context_overflow" } };
    const events = await send([{ text: "First.", toolCalls: [{ name: "read", input: {} }] }, overflow]);
    expect(compactions(events)).toHaveLength(1);
    expect(errors(events)).toMatchObject([{ retry_status: { type: "retrying" } }]);
    expect(said(events).at(-1)).toContain("Here.");
  });

  it("gives up where it cannot help", async () => {
    const message = { type: "user.message" as const, content: [{ type: "text", text: "word ".repeat(4_000) }] };
    await turns.send(session, message, script([{ text: "Short." }]));
    const events = await turns.eventually(session, idleTimes(1));
    expect(compactions(events).length).toBeLessThanOrEqual(1);
    expect(said(events)).toHaveLength(1);
  });

  it("that fails again and again ends the exchange, and the next message tries once more", async () => {
    const failing = { steps: longSteps(8), compaction: { fault: { kind: "context_overflow" } } };
    const text = ["```script", JSON.stringify(failing), "```"].join("\n");
    await turns.send(session, { type: "user.message", content: [{ type: "text", text }] });
    const events = await turns.eventually(session, idleTimes(1));
    expect(compactions(events)).toEqual([]);
    expect(errors(events).at(-1)).toMatchObject({
      type: "compaction_limit_reached_error",
      retry_status: { type: "exhausted" },
    });
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "retries_exhausted" });
  });

  it("stops at an interrupt, and the next message goes on", async () => {
    const slow = { steps: longSteps(8), compaction: { delayMs: 2_000 } };
    const text = ["```script", JSON.stringify(slow), "```"].join("\n");
    await turns.send(session, { type: "user.message", content: [{ type: "text", text }] });
    await expect.poll(() => requests.some(isCompaction), { timeout: 10_000 }).toBe(true);
    await turns.send(session, { type: "user.interrupt" });
    const events = await turns.eventually(session, idleTimes(1));
    expect(compactions(events)).toEqual([]);
    expect(events.at(-1)?.data?.["stop_reason"]).toEqual({ type: "end_turn" });
    const after = await send([{ text: "Here again." }], 2);
    expect(said(after).at(-1)).toContain("Here again.");
  });

  it("whose worker is lost is made again, and counted", async () => {
    const before = { ...turns.dependencies };
    let lost = 0;
    const dying: typeof before = {
      ...before,
      wrapEffects: (effects) => ({
        ...effects,
        async callModel(request, options) {
          const outcome = await effects.callModel(request, options);
          if (lost > 0 || options.shown) return outcome;
          lost += 1;
          throw new Error("the worker is lost");
        },
      }),
    };
    const sent = turns.send(session, script([...longSteps(8), { text: "The end." }]));
    await expect(Promise.all([sent, driveUntilLost(dying, session.sessionId)])).resolves.toBeDefined();
    await driveTurn(before, session.sessionId);
    const events = await turns.eventually(session, idleTimes(1));
    expect(said(events).at(-1)).toContain("The end.");
    expect(new Set(said(events)).size).toBe(said(events).length);
  });
});

/** The engine's own worker drives as well: whoever has the claim. */
async function driveUntilLost(dependencies: TurnTest["dependencies"], sessionId: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    try {
      await driveTurn(dependencies, sessionId);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function startsWith(messages: readonly TranscriptMessage[], beginning: readonly TranscriptMessage[]): boolean {
  return beginning.every((message, index) => {
    const now = JSON.stringify(messages[index]);
    const then = JSON.stringify(message);
    // The last message of the user may have grown at its end.
    return (
      now === then || (index === beginning.length - 1 && message.role === "user" && now?.startsWith(then.slice(0, -3)))
    );
  });
}

/**
 * Drivers that are lost around a parked call: one is stopped after each effect of parking and of settling, two others
 * come after it, and the log says what it says without a loss.
 */
import { randomUUID } from "node:crypto";
import { signWebhook } from "@exoloop/protocol/webhook-signatures";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLog } from "../sessions/log.ts";
import { insertTestSession, type TestSession } from "../sessions/testing-database.ts";
import { createWebhookReceiver } from "../webhooks/deliver.ts";
import { createWebhookRepository } from "../webhooks/webhooks.ts";
import { driveTurn, type DriverDependencies } from "./driver.ts";
import type { Effects } from "./effects.ts";
import { script, startTurnTest } from "./testing.ts";

class LostDriver extends Error {}

/** What waiting looks like, and what ends it. */
interface Scenario {
  readonly input: (target: TestSession) => object;
  readonly early?: boolean;
  readonly bring: (test: CrashTest, waiter: TestSession, target: TestSession) => Promise<void>;
  readonly result: RegExp;
}

const scenarios: Readonly<Record<string, Scenario>> = {
  "a duration": {
    input: () => ({ seconds: 60 }),
    bring: async (test) => void (test.clock.skipped += 61_000),
    result: /is over/,
  },
  "a webhook": {
    input: () => ({ webhook: "ci" }),
    bring: (test, waiter) => test.deliver(waiter, "green"),
    result: /\ngreen\n/,
  },
  "a webhook that came early": {
    input: () => ({ webhook: "ci" }),
    early: true,
    bring: (test, waiter) => test.deliver(waiter, "green"),
    result: /\ngreen\n/,
  },
  "a webhook that never comes": {
    input: () => ({ webhook: "ci" }),
    bring: async (test) => void (test.clock.skipped += 86_401_000),
    result: /timed out/,
  },
  "another session": {
    input: ({ sessionId }) => ({ session_id: sessionId }),
    bring: (test, _waiter, target) => driveTurn(test.turns.dependencies, target.sessionId),
    result: /come to rest/,
  },
};

type CrashTest = Awaited<ReturnType<typeof startCrashTest>>;

async function startCrashTest() {
  const turns = await startTurnTest({ drives: false });
  const { dependencies } = turns;
  const { database, engine } = dependencies;
  const webhooks = createWebhookRepository(database, engine);
  const receiver = createWebhookReceiver(dependencies);
  const made = new Map<string, { readonly id: string; readonly secret: string }>();
  return {
    turns,
    /** Milliseconds that the drivers' clock is ahead. */
    clock: { skipped: 0 },
    async addWebhook({ organizationId }: TestSession) {
      made.set(organizationId, await webhooks.create(organizationId, { name: "ci" }));
    },
    async deliver({ organizationId }: TestSession, text: string) {
      const webhook = made.get(organizationId);
      if (webhook === undefined) throw new Error("no webhook");
      const body = new TextEncoder().encode(text);
      const message = { id: randomUUID(), timestamp: Math.floor(Date.now() / 1000), body };
      const headers = new Headers(await signWebhook(webhook.secret, message));
      await receiver.receive(webhook.id, headers, () => Promise.resolve(body));
    },
  };
}

/** Stops the driver after so many effects; counts those of all drivers that share it. */
function createGate(stopAfter: number) {
  let count = 0;
  const passing = <Result>(result: Result): Result => {
    count += 1;
    if (count === stopAfter) throw new LostDriver();
    return result;
  };
  return {
    get met() {
      return count >= stopAfter;
    },
    wrap: (effects: Effects): Effects => ({
      ...effects,
      append: async (request) => passing(await effects.append(request)),
      readAfter: async (seq) => passing(await effects.readAfter(seq)),
      callModel: async (request, options) => passing(await effects.callModel(request, options)),
      checkWait: async (call) => passing(await effects.checkWait(call)),
    }),
  };
}

describe("a driver that is lost around a parked call", () => {
  let test: CrashTest;
  beforeAll(async () => {
    test = await startCrashTest();
  }, 60_000);
  afterAll(() => test.turns.stop());

  /** Two sessions of one organization, with its webhook; the second has work that nobody has begun. */
  async function prepare({ input }: Scenario) {
    const waiter = await insertTestSession(test.turns.test.database);
    const target = { ...(await insertTestSession(test.turns.test.database)), organizationId: waiter.organizationId };
    await test.turns.test.database
      .updateTable("sessions")
      .set({ organization_id: waiter.organizationId })
      .where("id", "=", target.sessionId)
      .execute();
    await test.addWebhook(waiter);
    await test.turns.send(target, script([{ text: "Rested." }]));
    const steps = [{ toolCalls: [{ name: "wait_for", input: input(target) }] }, { text: "Went on." }];
    await test.turns.send(waiter, script(steps));
    return { waiter, target };
  }

  function dependenciesOf(wrap: (effects: Effects) => Effects = (effects) => effects): DriverDependencies {
    const wrapEffects = (effects: Effects) => wrap({ ...effects, now: () => Date.now() + test.clock.skipped });
    return { ...test.turns.dependencies, wrapEffects };
  }

  /** A driver that may be lost, and two after it where it was. */
  async function drive({ sessionId }: TestSession, gate: ReturnType<typeof createGate>): Promise<void> {
    const before = gate.met;
    const lost = await driveTurn(dependenciesOf(gate.wrap), sessionId).then(
      () => false,
      (error: unknown) => {
        if (error instanceof LostDriver) return true;
        throw error;
      },
    );
    expect(lost).toBe(gate.met && !before);
    if (!lost) return;
    await driveTurn(dependenciesOf(), sessionId);
    await driveTurn(dependenciesOf(), sessionId);
  }

  /** What must be the same, however often a driver was lost. */
  async function traceOf({ sessionId }: TestSession) {
    const events = await readLog(test.turns.test.database, sessionId, 0);
    const counted = ["x.wait_started", "x.wait_ended", "agent.tool_use", "agent.tool_result", "session.status_idle"];
    const count = (type: string) => events.filter((event) => event.type === type).length;
    const waits = test.turns.test.database.selectFrom("session_waits").select("target");
    return {
      counts: Object.fromEntries(counted.map((type) => [type, count(type)])),
      results: events.flatMap((event) =>
        event.type === "agent.tool_result" ? [JSON.stringify(event.data?.["content"]).replaceAll("\\n", "\n")] : [],
      ),
      said: events.flatMap((event) =>
        event.type === "agent.message" ? [JSON.stringify(event.data?.["content"])] : [],
      ),
      last: events.at(-1)?.data?.["stop_reason"],
      waits: await waits.where("session_id", "=", sessionId).execute(),
    };
  }

  async function run(scenario: Scenario, stopAfter: number) {
    test.clock.skipped = 0;
    const { waiter, target } = await prepare(scenario);
    const gate = createGate(stopAfter);
    if (scenario.early === true) await scenario.bring(test, waiter, target);
    await drive(waiter, gate);
    if (scenario.early !== true) await scenario.bring(test, waiter, target);
    await drive(waiter, gate);
    return { trace: await traceOf(waiter), lost: gate.met };
  }

  it.each(Object.entries(scenarios))("that waits for %s leaves exactly one result", async (_name, scenario) => {
    const { trace: expected } = await run(scenario, Number.POSITIVE_INFINITY);
    expect(expected.results).toEqual([expect.stringMatching(scenario.result)]);
    expect(expected).toMatchObject({ last: { type: "end_turn" }, waits: [] });
    const mask = (trace: typeof expected) => ({
      ...trace,
      results: trace.results.map((text) => text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z|id=\\"[^"]*"|sesn_\w+/g, "…")),
    });
    let stops = 0;
    for (let lost = true; lost; stops += 1) {
      const after = await run(scenario, stops + 1);
      ({ lost } = after);
      expect(mask(after.trace), `stopped after effect ${stops + 1}`).toEqual(mask(expected));
    }
    // Parking and settling are more than a handful of effects: the gate did stand between them.
    expect(stops).toBeGreaterThan(8);
  });

  it("is not needed for a race: a delivery between the look and the rest is shown once", async () => {
    test.clock.skipped = 0;
    const { waiter } = await prepare(scenarios["a webhook"] as Scenario);
    let delivered = false;
    const wrap = (effects: Effects): Effects => ({
      ...effects,
      async checkWait(call) {
        const found = await effects.checkWait(call);
        if (!delivered) await test.deliver(waiter, "green");
        delivered = true;
        return found;
      },
    });
    await driveTurn(dependenciesOf(wrap), waiter.sessionId);
    const { results, last } = await traceOf(waiter);
    expect(results).toEqual([expect.stringMatching(/\ngreen\n/)]);
    expect(last).toEqual({ type: "end_turn" });
  });

  it("is not needed for a race: of two deliveries, one found and one brought, none is lost", async () => {
    test.clock.skipped = 0;
    const { waiter } = await prepare(scenarios["a webhook"] as Scenario);
    const call = { toolCalls: [{ name: "wait_for", input: { webhook: "ci" } }] };
    await driveTurn(dependenciesOf(), waiter.sessionId);
    await test.deliver(waiter, "zero");
    await driveTurn(dependenciesOf(), waiter.sessionId);
    await test.turns.send(waiter, script([call, call, { text: "Both." }]));
    await test.deliver(waiter, "first");
    let delivered = false;
    const wrap = (effects: Effects): Effects => ({
      ...effects,
      async checkWait(waiting) {
        const found = await effects.checkWait(waiting);
        if (!delivered) await test.deliver(waiter, "second");
        delivered = true;
        return found;
      },
    });
    await driveTurn(dependenciesOf(wrap), waiter.sessionId);
    const { results, said } = await traceOf(waiter);
    expect(said.at(-1)).toContain("Both.");
    const shown = results.slice(1).map((text) => /\n(first|second)\n/.exec(text)?.[1]);
    expect(new Set(shown)).toEqual(new Set(["first", "second"]));
    expect(shown).toHaveLength(2);
  });
});

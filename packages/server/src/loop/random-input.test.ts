/** Input at any moment of any log: the loop never fails, comes to rest, and leaves a log that is whole. */
import { describe, expect, it } from "vitest";
import type { LogEvent } from "../sessions/event.ts";
import { reduceLog } from "../sessions/reduce.ts";
import { type Fixture, logOfFixture, type RecordedLog, readFixtures, recordedStart } from "./testing/fixture.ts";
import { brokenInvariants } from "./testing/log-invariants.ts";
import { createRandom, type Random } from "@exoloop/sandbox/testing/random";
import { randomInput } from "./testing/random-input.ts";
import { decideAll } from "./testing/replay.ts";
import { answeredCall, simulateSession } from "./testing/simulated-session.ts";

const logs = readFixtures().flatMap((fixture) => fixture.logs.map((log) => ({ fixture, log })));
const rounds = 40;

/** Written only where the log has not grown since the driver looked. */
const conditional = [
  "span.model_request_start",
  "span.outcome_evaluation_start",
  "x.tool_started",
  "session.status_idle",
  "session.status_rescheduled",
];

/** A log that ends anywhere, with input that came before the last of what its driver wrote without looking. */
function disturb({ log, fixture }: { log: RecordedLog; fixture: Fixture }, random: Random): readonly LogEvent[] {
  const whole = logOfFixture(log);
  const seen = 1 + random.below(whole.length);
  const following = whole.slice(seen);
  const end = following.findIndex(({ type }) => conditional.includes(type));
  const unseeing = following.slice(0, random.below((end === -1 ? following.length : end) + 1));
  const events: LogEvent[] = [...whole.slice(0, seen), ...unseeing];
  const answered = new Set(whole.flatMap(answeredCall));
  for (let inputs = random.below(4); inputs > 0; inputs -= 1) {
    const place = seen + random.below(events.length - seen + 1);
    const input = randomInput(reduceLog(number(events.slice(0, place))), answered, random);
    events.splice(place, 0, { ...input, seq: 0, createdAt: new Date(recordedStart) });
  }
  const numbered = number(events);
  decideAll({ events: numbered }, fixture.parallelTools);
  return numbered;
}

function number(events: readonly LogEvent[]): readonly LogEvent[] {
  return events.map((event, index) => ({ ...event, seq: index + 1, createdAt: new Date(recordedStart + index) }));
}

describe("input at any moment", () => {
  it.each(logs)("of $fixture.name, $log.name: the session comes to rest, and its log is whole", async (recorded) => {
    const problems: string[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const seed = round * 1_000 + recorded.log.events.length;
      const random = createRandom(seed);
      const begun = disturb(recorded, random);
      const end = await simulateSession(begun, random).catch((error: unknown) => String(error));
      const broken = typeof end === "string" ? [end] : brokenInvariants(end.events);
      problems.push(...broken.map((problem) => `seed ${seed}: ${problem}`));
    }
    expect(problems).toEqual([]);
  });

  it("of an empty session: a thousand sessions from nothing come to rest", async () => {
    const problems: string[] = [];
    let effects = 0;
    for (let seed = 1; seed <= 1_000; seed += 1) {
      const random = createRandom(seed);
      const first = { ...randomInput(reduceLog([]), new Set(), random), seq: 1, createdAt: new Date(recordedStart) };
      const end = await simulateSession([first], random).catch((error: unknown) => String(error));
      if (typeof end !== "string") effects += end.effects;
      const broken = typeof end === "string" ? [end] : brokenInvariants(end.events);
      problems.push(...broken.map((problem) => `seed ${seed}: ${problem}`));
    }
    expect(problems).toEqual([]);
    expect(effects).toBeGreaterThan(10_000);
  });
});

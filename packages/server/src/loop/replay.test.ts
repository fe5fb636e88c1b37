/** Recorded logs lead to the recorded decisions, but for declared changes. */
import { describe, expect, it } from "vitest";
import type { LogEvent } from "../sessions/event.ts";
import { reduceLog } from "../sessions/reduce.ts";
import type { SessionState } from "../sessions/state.ts";
import { loopProtocolVersion } from "./protocol-version.ts";
import {
  type DeclaredChange,
  type Fixture,
  logOfFixture,
  readDeclaredChanges,
  readFixtures,
} from "./testing/fixture.ts";
import { transcriptProblems } from "./testing/log-invariants.ts";
import { changesOf, currentLoop, type ReplayedLoop, undeclared } from "./testing/replay.ts";

const fixtures = readFixtures();

/** Lets the model be asked before input is heard. */
const hasty: ReplayedLoop = {
  ...currentLoop,
  decide: (state, context) => currentLoop.decide({ ...state, inbox: [] }, context),
};

/** Forgets that a call was started. */
const forgetful: ReplayedLoop = {
  ...currentLoop,
  reduce: (state: SessionState, events: readonly LogEvent[]) =>
    currentLoop.reduce(
      state,
      events.map((event) => (event.type === "x.tool_started" ? { ...event, type: "x.ignored" } : event)),
    ),
};

/** Shows the model results without saying that they are errors. */
const flattering: ReplayedLoop = {
  ...currentLoop,
  reduce: (state: SessionState, events: readonly LogEvent[]) =>
    currentLoop.reduce(
      state,
      events.map((event) => ({ ...event, data: event.data === null ? null : { ...event.data, is_error: false } })),
    ),
};

describe("a recorded log", () => {
  it("leads to the recorded decisions, but for declared changes", () => {
    expect(undeclared(fixtures, readDeclaredChanges(), loopProtocolVersion)).toEqual([]);
  });

  it.each(fixtures.flatMap((fixture) => fixture.logs.map((log) => ({ fixture, log }))))(
    "$fixture.name, $log.name: is valid for a model at its end",
    ({ log }) => {
      const state = reduceLog(logOfFixture(log));
      expect(transcriptProblems(state.transcript, state)).toEqual([]);
    },
  );

  it("is there from before versions were counted, from a real sandbox, and from every trace", () => {
    expect(fixtures.filter((fixture) => fixture.protocolVersion === 0).length).toBeGreaterThan(0);
    expect(fixtures.some((fixture) => fixture.source.includes("sandbox"))).toBe(true);
    expect(fixtures.length).toBeGreaterThan(31);
  });

  it("shows neither secrets nor addresses", () => {
    expect(JSON.stringify(fixtures)).not.toMatch(/sk-|exo_|Bearer|https?:\/\/|\/home\/|\/root\//);
  });
});

describe("a change of the loop", () => {
  it.each([
    ["decide", hasty],
    ["reduce", forgetful],
    ["the transcript", flattering],
  ])("of %s is seen", (_what, loop) => {
    expect(undeclared(fixtures, [], loopProtocolVersion, loop).length).toBeGreaterThan(0);
  });

  it("passes when each of its decisions is declared for a version that was raised to it", () => {
    const [fixture] = fixtures.filter((candidate) => changesOf(candidate, forgetful).length > 0);
    const declare = (version: number, given: Fixture): DeclaredChange[] =>
      changesOf(given, forgetful).map((change) => ({ ...change, reason: "A test.", protocolVersion: version }));
    if (fixture === undefined) throw new Error("no fixture has a tool");
    const next = fixture.protocolVersion + 1;
    expect(undeclared([fixture], declare(next, fixture), next, forgetful)).toEqual([]);
    expect(undeclared([fixture], declare(next, fixture).slice(1), next, forgetful)).toHaveLength(1);
    expect(undeclared([fixture], declare(next, fixture), fixture.protocolVersion, forgetful)[0]).toContain("raised");
    expect(undeclared([fixture], declare(next, fixture), next, currentLoop)[0]).toContain("is not so");
  });
});

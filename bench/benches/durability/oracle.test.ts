/** The oracle must catch what it is there for: hand-made logs and files, each broken in one way. */
import { describe, expect, it } from "vitest";
import type { Evidence, FindingKind, LoggedEvent, SessionEvidence } from "./evidence.ts";
import type { Blow } from "./journal.ts";
import { judge } from "./oracle.ts";
import type { PlannedCall } from "./plan.ts";
import { measureRecovery } from "./recovery.ts";

const sessionId = "sesn_1";
const counting: PlannedCall = {
  name: "count",
  input: { token: "t1", linger_ms: 5 },
  expected: { text: "counted t1", whole: true, isError: false },
  needsWorkspace: false,
  captured: null,
  delegated: null,
};
const bash: PlannedCall = {
  name: "bash",
  input: { command: "echo t2" },
  expected: { text: "t2\n[exit 3]", whole: true, isError: true },
  needsWorkspace: false,
  captured: "t2",
  delegated: null,
};

type Part = Partial<LoggedEvent> & { readonly type: string };

function result(toolUseId: string, text: string, isError = false): Part {
  return {
    type: "agent.tool_result",
    data: { tool_use_id: toolUseId, content: [{ type: "text", text }], is_error: isError },
  };
}

const started = (toolUseId: string): Part => ({
  type: "x.tool_started",
  data: null,
  record: { tool_use_id: toolUseId },
});
const use = (id: string, { name, input }: PlannedCall): Part => ({ type: "agent.tool_use", id, data: { name, input } });

/** One second apart, driven by epoch 1 unless a part says otherwise. */
function logOf(parts: readonly Part[]): readonly LoggedEvent[] {
  return parts.map((part, index) => ({
    sessionId,
    seq: index + 1,
    id: `sevt_${index + 1}`,
    data: part.type.startsWith("x.") ? null : {},
    record: null,
    epoch: 1,
    at: (index + 1) * 1_000,
    ...part,
  }));
}

const parts: readonly Part[] = [
  { type: "user.message", id: "said", data: { content: [{ type: "text", text: "Round 0." }] } },
  use("counting", counting),
  started("counting"),
  result("counting", "counted t1"),
  use("bash", bash),
  started("bash"),
  result("bash", "<files_sync>\nsaved x\n</files_sync>\nt2\n[exit 3]", true),
  { type: "session.status_idle" },
  { type: "session.status_terminated" },
];

interface Changes {
  readonly parts?: readonly Part[];
  readonly log?: readonly LoggedEvent[];
  readonly received?: (all: NonNullable<SessionEvidence["received"]>) => SessionEvidence["received"];
  readonly outside?: readonly string[];
  readonly captured?: readonly string[];
  readonly acknowledged?: readonly string[];
  readonly stuck?: string;
  readonly blows?: readonly Blow[];
}

function evidenceOf(changes: Changes = {}): Evidence {
  const log = changes.log ?? logOf(changes.parts ?? parts);
  const shown = log.filter((event) => event.data !== null).map(({ seq, id }) => ({ seq, id }));
  const session: SessionEvidence = {
    sessionId,
    log,
    received: changes.received?.(shown) ?? shown,
    acknowledged: (changes.acknowledged ?? ["said"]).map((eventId) => ({ eventId, marker: "Round 0." })),
    planned: [counting, bash],
    captured: changes.captured ?? ["t2"],
    versions: new Map(),
    stuck: changes.stuck ?? null,
  };
  return {
    sessions: [session],
    outside: (changes.outside ?? ["counting"]).map((toolUseId) => ({ toolUseId, pid: 1, at: 3_100 })),
    claims: [
      { pid: 11, sessionId, epoch: 1, at: 500 },
      { pid: 12, sessionId, epoch: 2, at: 4_500 },
    ],
    blows: changes.blows ?? [],
  };
}

const kindsOf = (changes: Changes): readonly FindingKind[] => [
  ...new Set(judge(evidenceOf(changes)).findings.map((finding) => finding.kind)),
];
const replace = (index: number, part: Part) => parts.map((other, place) => (place === index ? part : other));
const workerKill = (pid: number, at: number): Blow => ({ type: "worker", at, pid, row: null });
const unknownText = "Interrupted: the worker was lost while this call ran, and its outcome is unknown.";

describe("the oracle", () => {
  it("finds nothing in a run in which nothing went wrong", () => {
    const judgement = judge(evidenceOf());
    expect(judgement.findings).toEqual([]);
    expect([judgement.unknown, judgement.exposed, judgement.calls]).toEqual([0, 0, 2]);
  });

  it("takes what a sandbox was awake for for no further event", () => {
    const awake: Part = { type: "x.sandbox_awake", record: { sandbox_awake_ms: 5 } };
    expect(judge(evidenceOf({ parts: [...parts, awake] })).findings).toEqual([]);
  });

  it.each<[string, FindingKind, Changes]>([
    ["an acknowledged event that is not in the log", "lost", { acknowledged: ["said", "gone"] }],
    ["a number that nobody has", "lost", { log: logOf(parts).filter((event) => event.seq !== 8) }],
    ["a number that two events have", "duplicate", { log: logOf(replace(7, { type: "session.status_idle", seq: 7 })) }],
    [
      "an event that is in the log twice",
      "duplicate",
      { parts: [...parts.slice(0, 8), ...parts.slice(8), { type: "agent.message", id: "said" }] },
    ],
    [
      "a message that was admitted twice",
      "duplicate",
      { parts: replace(7, { type: "user.message", data: parts[0]?.data ?? {} }) },
    ],
    ["an append of a zombie", "duplicate", { log: logOf(replace(4, { ...use("bash", bash), epoch: 2 })) }],
    ["an event that the stream left out", "lost", { received: (all) => all.filter((event) => event.seq !== 4) }],
    ["an event that the stream repeated", "duplicate", { received: (all) => [...all.slice(0, 3), ...all.slice(2)] }],
    ["events that the stream turned round", "duplicate", { received: (all) => all.toReversed() }],
    ["a call that ran twice", "double", { outside: ["counting", "counting"] }],
    ["a call that says it ran and did not", "lost", { outside: [] }],
    ["a run for a call that no log knows", "lost", { outside: ["counting", "unheard-of"] }],
    [
      "a step of the model that was played twice",
      "double",
      {
        parts: [
          ...parts.slice(0, 4),
          use("again", counting),
          started("again"),
          result("again", "counted t1"),
          ...parts.slice(4),
        ],
        outside: ["counting", "again"],
      },
    ],
    ["a planned call that was never made", "lost", { parts: [...parts.slice(0, 4), ...parts.slice(7)] }],
    [
      "a second result",
      "double",
      { parts: [...parts.slice(0, 7), result("bash", "t2\n[exit 3]", true), ...parts.slice(7)] },
    ],
    ["a command without its exit code", "wrong", { parts: replace(6, result("bash", "t2", true)) }],
    ["a command with half of its output", "wrong", { parts: replace(6, result("bash", "[exit 3]", true)) }],
    ["a line that was captured twice", "double", { captured: ["t2", "t2"] }],
    ["a line that was never captured", "lost", { captured: [] }],
    ["a session that goes on for ever", "stuck", { stuck: "its stream never ended" }],
    ["a log without its end", "stuck", { parts: parts.slice(0, 8) }],
    [
      "a worker that did nothing after it was continued",
      "stuck",
      { blows: [{ type: "stop", at: 1, pid: 1, until: 2, worked: false }] },
    ],
    ["an unknown outcome for no reason", "unjustified", { parts: replace(3, result("counting", unknownText, true)) }],
    [
      "an unknown outcome for a kill of another worker",
      "unjustified",
      { parts: replace(3, result("counting", unknownText, true)), blows: [workerKill(99, 3_500)] },
    ],
    [
      "an unknown command whose worker alone was killed",
      "unjustified",
      {
        parts: replace(6, result("bash", "[interrupted: x; its outcome is unknown]", true)),
        blows: [workerKill(11, 6_500)],
      },
    ],
  ])("catches %s", (_what, kind, changes) => {
    expect(kindsOf(changes)).toContain(kind);
  });

  it("lets a call be unknown that was in flight when its worker was killed, and counts it", () => {
    const changes: Changes = {
      parts: replace(3, { ...result("counting", unknownText, true), epoch: 1 }),
      blows: [workerKill(11, 3_500)],
    };
    const judgement = judge(evidenceOf(changes));
    expect([judgement.findings, judgement.unknown, judgement.exposed]).toEqual([[], 1, 1]);
  });

  it("lets a command be unknown whose sandbox was killed under it", () => {
    const changes: Changes = {
      parts: replace(6, result("bash", "[interrupted: the sandbox was lost; its outcome is unknown]", true)),
      captured: [],
      blows: [{ type: "sandbox", at: 6_500, sandboxId: "sbx_1", sessionId }],
    };
    expect(kindsOf(changes)).toEqual([]);
  });

  it("measures recovery from the kill to the next append of another driver", () => {
    const log = logOf(parts).map((event) => (event.seq > 3 ? { ...event, epoch: 2 } : event));
    const none = { alone: [], amongOthers: [] };
    expect(measureRecovery(evidenceOf({ log, blows: [workerKill(11, 3_250)] }))).toEqual({ ...none, alone: [750] });
    expect(measureRecovery(evidenceOf({ log, blows: [workerKill(12, 3_250)] }))).toEqual(none);
    // Another worker is hit four seconds later: whoever took over, or would have, may be the one.
    const two = [workerKill(11, 3_250), workerKill(12, 7_250)];
    expect(measureRecovery(evidenceOf({ log, blows: two }))).toEqual({ ...none, amongOthers: [750] });
  });
});

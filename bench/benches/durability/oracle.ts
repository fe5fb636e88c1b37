/** Judges a run by what it left behind. Pure, and independent of the code that ran. @module */
import type { Evidence, Finding, FindingKind } from "./evidence.ts";
import { judgeCalls } from "./oracle-calls.ts";
import { judgeLog } from "./oracle-log.ts";

export interface Judgement {
  readonly findings: readonly Finding[];
  readonly unknown: number;
  readonly exposed: number;
  readonly calls: number;
  readonly events: number;
  count(...kinds: readonly FindingKind[]): number;
}

export function judge(evidence: Evidence): Judgement {
  const calls = evidence.sessions.map((session) => judgeCalls(session, evidence));
  const findings = [
    ...evidence.sessions.flatMap(judgeLog),
    ...calls.flatMap((judged) => judged.findings),
    ...judgeZombies(evidence),
    ...judgeOutside(evidence),
  ];
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    findings,
    unknown: sum(calls.map((judged) => judged.unknown)),
    exposed: sum(calls.map((judged) => judged.exposed)),
    calls: sum(calls.map((judged) => judged.total)),
    events: sum(evidence.sessions.map(({ log }) => log.length)),
    count: (...kinds) => findings.filter((finding) => kinds.includes(finding.kind)).length,
  };
}

function judgeZombies({ blows }: Evidence): readonly Finding[] {
  return blows.flatMap((blow): Finding[] =>
    blow.type === "stop" && blow.worked === false
      ? [{ kind: "stuck", sessionId: null, text: `worker ${blow.pid} was continued and drove nothing any more` }]
      : [],
  );
}

/** The tool ran for a call that no log knows: its intent was lost. */
function judgeOutside({ outside, sessions }: Evidence): readonly Finding[] {
  const known = new Set(sessions.flatMap(({ log }) => log.map((event) => event.id)));
  return outside.flatMap((entry): Finding[] =>
    known.has(entry.toolUseId)
      ? []
      : [{ kind: "lost", sessionId: null, text: `the tool ran for ${entry.toolUseId}, which is in no log` }],
  );
}

/** What the log and the streams must be, whatever happened. Pure, and independent of the loop. @module */
import type { Finding, SessionEvidence } from "./evidence.ts";

/** Numbers without gap, one event each; every acknowledged event is there; the live client saw each once, in order. */
export function judgeLog(session: SessionEvidence): readonly Finding[] {
  return [...judgeNumbers(session), ...judgeAcknowledged(session), ...judgeStream(session), ...judgeEnd(session)];
}

function judgeNumbers({ sessionId, log }: SessionEvidence): readonly Finding[] {
  const findings: Finding[] = [];
  const ids = new Set<string>();
  for (const [index, event] of log.entries()) {
    const expected = index === 0 ? 1 : (log[index - 1]?.seq ?? 0) + 1;
    if (event.seq > expected) findings.push({ kind: "lost", sessionId, text: `no event has the number ${expected}` });
    if (event.seq < expected) findings.push({ kind: "duplicate", sessionId, text: `number ${event.seq} comes twice` });
    if (ids.has(event.id)) findings.push({ kind: "duplicate", sessionId, text: `${event.id} is in the log twice` });
    ids.add(event.id);
    // A zombie's append would carry an epoch that has passed.
    const before = log[index - 1]?.epoch ?? 0;
    if (event.epoch < before) {
      findings.push({ kind: "duplicate", sessionId, text: `number ${event.seq} was appended under a past epoch` });
    }
  }
  return findings;
}

function judgeAcknowledged({ sessionId, log, acknowledged }: SessionEvidence): readonly Finding[] {
  const ids = new Set(log.map((event) => event.id));
  return acknowledged.flatMap(({ eventId, marker }): Finding[] => {
    const findings: Finding[] = [];
    if (!ids.has(eventId)) findings.push({ kind: "lost", sessionId, text: `${eventId} was acknowledged` });
    const same = log.filter((event) => event.type === "user.message" && JSON.stringify(event.data).includes(marker));
    if (same.length > 1) {
      const text = `${JSON.stringify(marker)} was admitted ${same.length} times`;
      findings.push({ kind: "duplicate", sessionId, text });
    }
    return findings;
  });
}

function judgeStream({ sessionId, log, received, stuck }: SessionEvidence): readonly Finding[] {
  if (received === null) return [];
  const findings: Finding[] = [];
  const durable = new Map(log.filter((event) => event.data !== null).map((event) => [event.seq, event.id]));
  let last = 0;
  for (const { seq, id } of received) {
    if (durable.get(seq) !== id)
      findings.push({ kind: "duplicate", sessionId, text: `the stream showed ${id} as ${seq}` });
    if (seq <= last) findings.push({ kind: "duplicate", sessionId, text: `the stream showed ${seq} after ${last}` });
    last = Math.max(last, seq);
  }
  const seen = new Set(received.map((event) => event.seq));
  // A client that gave up has not seen the end.
  const missed = [...durable.keys()].filter((seq) => !seen.has(seq) && (stuck === null || seq < last));
  for (const seq of missed) findings.push({ kind: "lost", sessionId, text: `the stream never showed ${seq}` });
  return findings;
}

function judgeEnd({ sessionId, log, received, stuck }: SessionEvidence): readonly Finding[] {
  // Of a thread's session it is told.
  if (stuck !== null) return received === null ? [] : [{ kind: "stuck", sessionId, text: stuck }];
  // What a sandbox was awake for is told when it sleeps, which may be later.
  const last = log.findLast(({ type }) => type !== "x.sandbox_awake")?.type;
  if (last === "session.status_terminated" || (received === null && last === "session.status_idle")) return [];
  return [{ kind: "stuck", sessionId, text: `its log ends with ${last ?? "nothing"}` }];
}

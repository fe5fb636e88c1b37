/** How long the sessions of a killed worker stood still. Pure. @module */
import type { Evidence, SessionEvidence } from "./evidence.ts";

/**
 * For each session that a worker was driving when it was killed: milliseconds from the kill to the next append by
 * another one. Sessions that had nothing left to do are none.
 */
export function measureRecovery(evidence: Evidence): readonly number[] {
  return evidence.blows.flatMap((blow) => {
    if (blow.type !== "worker") return [];
    return evidence.sessions.flatMap((session) => recoveryOf(session, blow.pid, blow.at, evidence) ?? []);
  });
}

function recoveryOf(
  { sessionId, log }: SessionEvidence,
  pid: number,
  killedAt: number,
  { claims }: Evidence,
): number | null {
  const claim = claims.findLast((entry) => entry.sessionId === sessionId && entry.at <= killedAt);
  if (claim?.pid !== pid) return null;
  const before = log.findLast((event) => event.at <= killedAt && event.epoch <= claim.epoch);
  // What a client sends is no sign of a driver.
  const next = log.find((event) => event.epoch > claim.epoch && !event.type.startsWith("user."));
  const over = ["session.status_idle", "session.status_rescheduled", "session.status_terminated"];
  if (before === undefined || next === undefined || over.includes(before.type)) return null;
  if (waitsForThreads(log, killedAt)) return null;
  return next.type === "session.status_terminated" ? null : next.at - killedAt;
}

/** Then nobody drives it: its threads do, and their logs tell. */
function waitsForThreads(log: SessionEvidence["log"], at: number): boolean {
  const count = (type: string) => log.filter((event) => event.type === type && event.at <= at).length;
  return count("x.thread_started") > count("x.thread_settled");
}

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
  return next.type === "session.status_terminated" ? null : next.at - killedAt;
}

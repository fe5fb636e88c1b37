/** How long the sessions of a killed worker stood still. Pure. @module */
import type { Evidence, SessionEvidence } from "./evidence.ts";

/** Milliseconds around a kill in which another blow meets those who would take over, or who would judge. */
const before = 6_000;
const after = 5_000;

export interface Recoveries {
  /** Nothing else was hit shortly before or after, whatever came of it. */
  readonly alone: readonly number[];
  /** The next worker, the database or a judge was hit too. */
  readonly amongOthers: readonly number[];
}

/**
 * For each session that a worker was driving when it was killed: milliseconds from the kill to the next append by
 * another one. Sessions that had nothing left to do are none.
 */
export function measureRecovery(evidence: Evidence): Recoveries {
  const measured = evidence.blows.flatMap((blow) => {
    if (blow.type !== "worker") return [];
    const alone = !evidence.blows.some(
      (other) =>
        other !== blow && other.type !== "sandbox" && other.at > blow.at - before && other.at < blow.at + after,
    );
    const samples = evidence.sessions.flatMap((session) => recoveryOf(session, blow.pid, blow.at, evidence) ?? []);
    return samples.map((milliseconds) => ({ alone, milliseconds }));
  });
  const of = (alone: boolean) =>
    measured.filter((sample) => sample.alone === alone).map(({ milliseconds }) => milliseconds);
  return { alone: of(true), amongOthers: of(false) };
}

function recoveryOf(
  { sessionId, log }: SessionEvidence,
  pid: number,
  killedAt: number,
  { claims }: Evidence,
): number | null {
  const claim = claims.findLast((entry) => entry.sessionId === sessionId && entry.at <= killedAt);
  if (claim?.pid !== pid) return null;
  const last = log.findLast((event) => event.at <= killedAt && event.epoch <= claim.epoch);
  // What a client sends is no sign of a driver.
  const next = log.find((event) => event.epoch > claim.epoch && !event.type.startsWith("user."));
  const over = ["session.status_idle", "session.status_rescheduled", "session.status_terminated"];
  if (last === undefined || next === undefined || over.includes(last.type)) return null;
  if (waitsForThreads(log, killedAt)) return null;
  return next.type === "session.status_terminated" ? null : next.at - killedAt;
}

/** Then nobody drives it: its threads do, and their logs tell. */
function waitsForThreads(log: SessionEvidence["log"], at: number): boolean {
  const count = (type: string) => log.filter((event) => event.type === type && event.at <= at).length;
  return count("x.thread_started") > count("x.thread_settled");
}

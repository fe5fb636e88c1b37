/** A run whose drivers were lost, held against one whose driver was not. Answers every difference that is not documented. @module */
import { isDeepStrictEqual } from "node:util";
import { reduceLog } from "../../sessions/reduce.ts";
import { type CanonicalEvent, canonicalLog, normalise } from "./canonical-log.ts";
import { brokenInvariants } from "./log-invariants.ts";
import type { SessionLog, TraceResult } from "./run-trace.ts";
import { endOf } from "./trace.ts";

export function compareRuns(undisturbed: TraceResult, disturbed: TraceResult): readonly string[] {
  if (undisturbed.logs.length !== disturbed.logs.length) return [`${disturbed.logs.length} sessions`];
  return disturbed.logs.flatMap((log, index) => {
    const expected = undisturbed.logs[index];
    if (expected === undefined) return ["a session too many"];
    return [
      ...brokenInvariants(log.events),
      ...rowProblems(log),
      ...differences(expected, log),
      ...repetitions(log, disturbed),
      ...unjustified(log, disturbed),
      ...failures(expected, log, disturbed),
    ].map((problem) => `session ${index + 1}: ${problem}`);
  });
}

/** The session's row and the audit log say what the log says. */
function rowProblems({ events, row, audited }: SessionLog): readonly string[] {
  const last = events.findLast((event) => event.type.startsWith("session.status_"))?.type ?? "session.status_idle";
  const status = row.status === "rescheduling" ? "rescheduled" : row.status;
  const calls = events.filter(
    ({ type, data }) =>
      (type === "agent.tool_use" || type === "agent.custom_tool_use") && data?.["session_thread_id"] === undefined,
  );
  return [
    ...(last === `session.status_${status}` ? [] : [`the row says ${row.status}, the log ${last}`]),
    ...(row.headSeq === events.length ? [] : [`the row says ${row.headSeq} events, the log holds ${events.length}`]),
    ...(audited === calls.length ? [] : [`${audited} audit rows for ${calls.length} calls`]),
  ];
}

function differences(expected: SessionLog, found: SessionLog): readonly string[] {
  const unknown = unknownResults(found);
  const [before, after] = [canonicalLog(expected.events), canonicalLog(found.events)];
  const mark = (events: readonly CanonicalEvent[]) =>
    events.map((event) =>
      event.type === "agent.tool_result" && unknown.has(nthResult(events, event)) ? { type: event.type } : event,
    );
  const [left, right] = [mark(before), mark(after)];
  const place = left.findIndex((event, index) => !isDeepStrictEqual(event, right[index]));
  if (place === -1 && left.length === right.length) return transcriptDifferences(expected, found);
  const at = place === -1 ? left.length : place;
  const show = (value: unknown) => (JSON.stringify(value) ?? "nothing").slice(0, 300);
  return [
    `event ${at} is ${show(right[at])} and not ${show(left[at])}; types: ${right.map(({ type }) => type).join(" ")}`,
  ];
}

/** What the model sees, but for results that are told as unknown. */
function transcriptDifferences(expected: SessionLog, found: SessionLog): readonly string[] {
  if (unknownResults(found).size > 0) return [];
  const [before, after] = [expected, found].map(({ events }) => normalise(reduceLog(events).transcript, new Map()));
  return isDeepStrictEqual(before, after) ? [] : ["the transcript differs"];
}

/** A result's place among the results of its log. */
function nthResult(events: readonly CanonicalEvent[], event: CanonicalEvent): number {
  return events.filter(({ type }) => type === "agent.tool_result").indexOf(event);
}

function unknownResults({ events }: SessionLog): ReadonlySet<number> {
  const results = events.filter((event) => event.type === "agent.tool_result");
  return new Set(results.flatMap((event, index) => (isUnknown(event.data) ? [index] : [])));
}

function isUnknown(data: unknown): boolean {
  return JSON.stringify(data).includes("its outcome is unknown");
}

/** Each lost driver costs one attempt at most; a model that failed before it answered may do so again. */
function failures(expected: SessionLog, found: SessionLog, { crashed }: TraceResult): readonly string[] {
  const [before, after] = [endOf(expected.events).failures, endOf(found.events).failures];
  return after <= 2 * before + crashed.length ? [] : [`${after} failed attempts, undisturbed ${before}`];
}

/** The side effect of a call that is never repeated, or of a command, happens once at most. */
function repetitions({ events }: SessionLog, { done }: TraceResult): readonly string[] {
  return events.flatMap(({ id, type, data }) => {
    const name = data?.["name"];
    if (type !== "agent.tool_use" || (name !== "edit" && name !== "bash")) return [];
    const times = done.get(id) ?? 0;
    return times > 1 ? [`${String(name)} was done ${times} times`] : [];
  });
}

/** Unknown is told only of calls that are never repeated, and only where a driver was lost at such a call. */
function unjustified(log: SessionLog, { done, crashed }: TraceResult): readonly string[] {
  const results = log.events.filter((event) => event.type === "agent.tool_result");
  const rows = crashed.flatMap((effect) => effect.rows);
  return results.flatMap((event) => {
    const id = String(event.data?.["tool_use_id"]);
    const call = log.events.find((other) => other.id === id);
    if (call?.data?.["name"] !== "edit") return isUnknown(event.data) ? ["a call that can be repeated is unknown"] : [];
    const ran = isUnknown(event.data) || JSON.stringify(event.data).includes("edit of");
    if (!ran) return [];
    if (isUnknown(event.data)) return rows.length > 0 ? [] : ["unknown without a crash"];
    return done.get(id) === 1 ? [] : ["told as done, and was not"];
  });
}

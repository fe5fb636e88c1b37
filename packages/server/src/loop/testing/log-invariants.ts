/** What is true of every log at rest, whatever has happened to its drivers. Answers what is not, in sentences. @module */
import type { TranscriptMessage } from "../../models/model.ts";
import type { LogEvent } from "../../sessions/event.ts";
import { reduceLog } from "../../sessions/reduce.ts";
import type { SessionState } from "../../sessions/state.ts";

/** @example brokenInvariants(await readLog(database, sessionId, 0)) // [] */
export function brokenInvariants(events: readonly LogEvent[]): readonly string[] {
  const state = reduceLog(events);
  return [
    ...numbering(events),
    ...pairs(events, "span.model_request_start", "span.model_request_end", "model_request_start_id"),
    ...pairs(events, "span.outcome_evaluation_start", "span.outcome_evaluation_end", "outcome_evaluation_start_id"),
    ...callResults(events, state),
    ...consumption(events),
    ...statuses(events),
    ...transcriptProblems(state.transcript, state),
    ...usageProblems(events, state),
  ];
}

function numbering(events: readonly LogEvent[]): readonly string[] {
  const gaps = events.filter((event, index) => event.seq !== index + 1).map((event) => `number ${event.seq} is amiss`);
  return [...gaps, ...repeated(events.map((event) => event.id)).map((id) => `${id} is there twice`)];
}

/** Each result names an intent before it, and each intent has one. */
function pairs(events: readonly LogEvent[], start: string, end: string, field: string): readonly string[] {
  const starts = events.filter((event) => event.type === start);
  const ends = events.filter((event) => event.type === end);
  return [
    ...ends
      .filter((event) => !starts.some((other) => other.id === event.data?.[field] && other.seq < event.seq))
      .map((event) => `${end} ${event.seq} has no start before it`),
    ...starts.flatMap(({ id, seq }) => {
      const count = ends.filter((event) => event.data?.[field] === id).length;
      return count === 1 ? [] : [`${start} ${seq} has ${count} ends`];
    }),
  ];
}

function callResults(events: readonly LogEvent[], state: SessionState): readonly string[] {
  const isCall = ({ type, data }: LogEvent) =>
    (type === "agent.tool_use" || type === "agent.custom_tool_use") && data?.["session_thread_id"] === undefined;
  const calls = events.filter(isCall);
  const open = state.calls.filter((call) => call.status !== "settled").map((call) => call.toolUseId);
  const results = events.filter((event) => event.type === "agent.tool_result");
  const problems = calls.flatMap(({ id, seq, type, record }) => {
    const own = results.filter((event) => event.data?.["tool_use_id"] === id);
    const taken = events.filter((event) => event.data?.["custom_tool_use_id"] === id);
    const worked = events.filter((event) => event.type === "user.tool_result" && event.data?.["tool_use_id"] === id);
    const expected = open.includes(id) ? 0 : 1;
    const here = record?.["worker"] === true ? own.length + worked.length : own.length;
    const count = type === "agent.custom_tool_use" ? Math.max(own.length, taken.length) : here;
    const early = [...own, ...taken, ...worked].some((event) => event.seq < seq);
    return count === expected && !early ? [] : [`the call ${seq} has ${count} results, early: ${early}`];
  });
  const starts = events
    .filter((event) => event.type === "x.tool_started" || event.type === "x.wait_started")
    .map((event) => String(event.record?.["tool_use_id"]));
  return [...problems, ...repeated(starts).map((id) => `${id} was started twice`)];
}

function consumption(events: readonly LogEvent[]): readonly string[] {
  const seen = new Set<string>();
  const consumed: string[] = [];
  const problems: string[] = [];
  for (const event of events) {
    if (event.type.startsWith("user.")) seen.add(event.id);
    if (event.type !== "x.consumed") continue;
    const ids = event.record?.["event_ids"] as readonly string[];
    consumed.push(...ids);
    problems.push(...ids.filter((id) => !seen.has(id)).map((id) => `${id} was consumed before it came`));
  }
  return [...problems, ...repeated(consumed).map((id) => `${id} was consumed twice`)];
}

function statuses(events: readonly LogEvent[]): readonly string[] {
  const changes = events.filter((event) => event.type.startsWith("session.status_"));
  return changes.flatMap((event, index) =>
    event.type === changes[index - 1]?.type ? [`${event.type} ${event.seq} changes nothing`] : [],
  );
}

/** What every provider demands: turns alternate, and each call has its result, once, in the message that follows. */
export function transcriptProblems(
  transcript: readonly TranscriptMessage[],
  { calls, undecided }: Pick<SessionState, "calls" | "undecided">,
): readonly string[] {
  return transcript.flatMap((message, index): readonly string[] => {
    const before = transcript[index - 1];
    const next = transcript[index + 1];
    if (before === undefined && message.role !== "user") return ["it does not begin with the user"];
    if (before?.role === message.role) return [`message ${index}: ${message.role} twice`];
    if (message.role === "tool" && before?.role !== "assistant") return [`message ${index}: results without calls`];
    if (message.role !== "assistant") return [];
    const asked = message.content.flatMap((part) => (part.type === "tool_call" ? [part.callId] : []));
    const open =
      next === undefined ? [...calls.map((call) => call.callId), ...undecided.map((part) => part.callId)] : [];
    const given = next?.role === "tool" ? next.results.map((result) => result.callId) : open;
    return asked.join() === given.join() ? [] : [`message ${index}: calls ${asked.join()}, results ${given.join()}`];
  });
}

/** Every model call and every tool's result is counted once; a thread's, when it is settled. */
function usageProblems(events: readonly LogEvent[], { usage }: SessionState): readonly string[] {
  const counted = ["span.model_request_end", "agent.tool_result", "user.tool_result"];
  const own = events.filter((event) => counted.includes(event.type) && event.record?.["passed_on"] !== true);
  const settled = events.filter((event) => event.type === "x.thread_settled");
  const steps = settled.reduce((sum, event) => sum + Number(event.record?.["steps"]), own.length);
  return steps === usage.steps ? [] : [`${usage.steps} steps are counted, the log holds ${steps}`];
}

function repeated(values: readonly string[]): readonly string[] {
  return values.filter((value, index) => values.indexOf(value) !== index);
}

/**
 * Calls that the loop itself serves. Starting one is a single transaction: its record, the thread or the alarm that it
 * causes. Nothing of this session runs until its result arrives.
 * @module
 */
import { type LogEvent, type NewEvent, publicEvent, recordEvent } from "../sessions/event.ts";
import type { CallResult, OpenCall, SessionState, ThreadState, Wait } from "../sessions/state.ts";
import { readDelegateRequest } from "./delegate-request.ts";
import type { RegisteredWait } from "../sessions/waits.ts";
import type { AppendRequest, Effects, EndedWait, ThreadStart } from "./effects.ts";
import { delegateTool, waitForTool } from "./loop-tools.ts";
import { runningEvents } from "./model-events.ts";
import { resultEvent } from "./run-tools.ts";
import { readWaitRequest } from "./wait-request.ts";

interface Parked {
  readonly events: readonly NewEvent[];
  readonly threads: readonly ThreadStart[];
  readonly waits: readonly RegisteredWait[];
  /** Milliseconds since the epoch. */
  readonly alarm: number | null;
}

export async function parkCalls(
  calls: readonly OpenCall[],
  state: SessionState,
  effects: Effects,
): Promise<readonly LogEvent[] | null> {
  const share = calls.filter((call) => call.toolName === delegateTool).length;
  // As the work that the calls before have given leaves them: a thread works on one call.
  let { threads } = state;
  const parked = calls.map((call) => (call.toolName === waitForTool ? parkWait(call, effects) : delegate(call, share)));
  const alarms = parked.flatMap(({ alarm }) => (alarm === null ? [] : [alarm]));
  const request: AppendRequest = {
    events: [...runningEvents(state), ...parked.flatMap(({ events }) => events)],
    status: "running",
    threads: parked.flatMap(({ threads }) => threads),
    waits: parked.flatMap(({ waits }) => waits),
    alarms,
    // A thread may have been archived since the state was read.
    onlyAt: state.seq,
  };
  return effects.append(request);

  function delegate(call: OpenCall, among: number): Parked {
    const asked = readDelegateRequest(call, { ...state, threads }, effects, Math.max(1, among));
    if (asked.type === "invalid") return refused(call, asked.problem);
    const { start } = asked;
    threads = [...threads.filter(({ threadId }) => threadId !== start.threadId), atWork(start)];
    const named = { thread_id: start.threadId, agent_name: start.agentName, tool_use_id: call.toolUseId };
    const created = publicEvent("session.thread_created", {
      session_thread_id: start.threadId,
      agent_name: start.agentName,
      workflow_run_id: null,
    });
    const sent = publicEvent("agent.thread_message_sent", {
      to_session_thread_id: start.threadId,
      to_agent_name: start.agentName,
      content: [{ type: "text", text: start.task }],
    });
    const events = [...(start.agent === null ? [] : [created]), sent, recordEvent("x.thread_started", named)];
    return { events, threads: [start], waits: [], alarm: null };
  }
}

function atWork({ threadId, agentName, toolUseId }: ThreadStart): ThreadState {
  return { threadId, agentName, toolUseId, status: "running", blockedOn: [] };
}

function parkWait(call: OpenCall, effects: Effects): Parked {
  const asked = readWaitRequest(call.input, effects.now());
  if (asked.type === "invalid") return refused(call, asked.problem);
  const { wait } = asked;
  const record = recordEvent("x.wait_started", { tool_use_id: call.toolUseId, wait: writeWait(wait) });
  const target = wait.type === "webhook" ? wait.name : wait.type === "session" ? wait.sessionId : null;
  const waits =
    target === null || wait.type === "instant" ? [] : [{ toolUseId: call.toolUseId, kind: wait.type, target }];
  return { events: [record], threads: [], waits, alarm: wait.until };
}

function refused(call: OpenCall, problem: string): Parked {
  const result: CallResult = { content: [{ type: "text", text: problem }], isError: true };
  return { events: [resultEvent(call, result)], threads: [], waits: [], alarm: null };
}

function writeWait(wait: Wait) {
  if (wait.type === "instant") return { type: wait.type, until: wait.until };
  if (wait.type === "webhook") return { type: wait.type, name: wait.name, until: wait.until };
  return { type: wait.type, session_id: wait.sessionId, until: wait.until };
}

/** Another clock than ours may ring this much too early, in milliseconds. */
const clockToleranceMs = 5_000;

/**
 * Settles what has happened or run out of time, unless the log has grown: what was brought meanwhile comes first. An
 * alarm that rang too early is set again: no other would follow.
 */
export async function checkWaits(
  calls: readonly OpenCall[],
  state: SessionState,
  effects: Effects,
): Promise<readonly LogEvent[] | null> {
  const now = effects.now();
  const results = await Promise.all(calls.map((call) => checkOne(call, now, effects)));
  const settled = calls.flatMap((call, index) => {
    const result = results[index];
    return result === undefined || result === null ? [] : [endedEvent(call, result)];
  });
  const open = calls.filter((_call, index) => (results[index] ?? null) === null);
  const alarms = open.flatMap(({ wait }) => (wait !== null && wait.until - now < clockToleranceMs ? [wait.until] : []));
  const endedWaits = calls.filter((call) => !open.includes(call)).map((call) => call.toolUseId);
  if (settled.length === 0) return alarms.length === 0 ? [] : effects.append({ events: [], alarms });
  const events = [...runningEvents(state), ...settled];
  return effects.append({ events, status: "running", onlyAt: state.seq, alarms, endedWaits });
}

function endedEvent(call: OpenCall, { delivery, ...result }: EndedWait): NewEvent {
  const event = resultEvent(call, result);
  return delivery === undefined ? event : { ...event, record: { delivery } };
}

async function checkOne(call: OpenCall, now: number, effects: Effects): Promise<EndedWait | null> {
  const { wait } = call;
  if (wait === null) return textResult("Nothing was waited for.", true);
  if (wait.type !== "instant") {
    const found = await effects.checkWait(call);
    if (found !== null) return found;
  }
  if (wait.until > now) return null;
  const instant = new Date(wait.until).toISOString();
  if (wait.type === "instant") return textResult(`The wait until ${instant} is over.`, false);
  return textResult(`Nothing came until ${instant}: the wait timed out.`, true);
}

function textResult(text: string, isError: boolean): CallResult {
  return { content: [{ type: "text", text }], isError };
}

/** Tool calls: opened when policy has decided, settled when their results are shown. Pure. @module */
import { readContent } from "../content.ts";
import type { LogEvent } from "../event.ts";
import type { CallResult, CallStatus, OpenCall, SessionState, Wait } from "../state.ts";
import { type Fields, isFields, readNumber, type Reducers } from "./fields.ts";
import { boundContent } from "./shorten.ts";

export const callReducers: Reducers = {
  "agent.tool_use": (state, data, record, event) =>
    // A thread's call, shown here because it needs an answer, is not this session's.
    isForeign(data) ? state : openCall(state, data, record, event, false),
  "agent.custom_tool_use": (state, data, record, event) =>
    isForeign(data) ? state : openCall(state, data, record, event, true),
  "x.tool_started": (state, _data, record) =>
    changeCall(state, String(record["tool_use_id"]), (call) => ({ ...call, status: "started" })),
  "x.wait_started": (state, _data, record) =>
    changeCall(state, String(record["tool_use_id"]), (call) => ({
      ...call,
      status: "waiting",
      wait: readWait(record["wait"]),
    })),
  /** What a parked call waited for has happened; admitted by any process. */
  "x.wait_ended": (state, _data, record) => arrive(state, String(record["tool_use_id"]), readResult(record)),
  "agent.tool_result": (state, data, record) => {
    const counted = countTool(state, record);
    return settle(counted, String(data["tool_use_id"]), readResult(data));
  },
  /** Awake time that no result tells; written by any process while the session does not run. */
  "x.sandbox_awake": countAwake,
};

function isForeign(data: Fields): boolean {
  return typeof data["session_thread_id"] === "string";
}

function readResult(fields: Fields): CallResult {
  return { content: readContent(fields["content"]), isError: fields["is_error"] === true };
}

function readWait(value: unknown): Wait | null {
  if (!isFields(value)) return null;
  const until = readNumber(value["until"]);
  if (value["type"] === "webhook") return { type: "webhook", name: String(value["name"]), until };
  if (value["type"] === "session") return { type: "session", sessionId: String(value["session_id"]), until };
  return { type: "instant", until };
}

function openCall(state: SessionState, data: Fields, record: Fields, event: LogEvent, custom: boolean): SessionState {
  const callId = String(record["call_id"]);
  const refusal = typeof record["refusal"] === "string" ? record["refusal"] : null;
  const permission = data["evaluated_permission"];
  const worker = record["worker"] === true;
  const call: OpenCall = {
    toolUseId: event.id,
    callId,
    toolName: String(data["name"]),
    custom,
    worker,
    input: isFields(data["input"]) ? data["input"] : {},
    status: refusal === null ? firstStatus(custom, worker, permission) : "refused",
    refusal: refusal ?? (permission === "deny" ? "This call is not allowed by policy." : null),
    result: null,
    wait: null,
    bound: isFields(record["bound"]) ? record["bound"] : null,
    review: readReview(data["x_exoloop"]),
    decidedAt: event.createdAt.getTime(),
  };
  return {
    ...state,
    undecided: state.undecided.filter((part) => part.callId !== callId),
    calls: [...state.calls, call],
  };
}

function readReview(extension: unknown): string | null {
  const review = isFields(extension) ? extension["review"] : null;
  return typeof review === "string" ? review : null;
}

function firstStatus(custom: boolean, worker: boolean, permission: unknown): CallStatus {
  if (custom) return "awaiting_result";
  if (permission === "ask") return "awaiting_approval";
  if (permission !== "allow") return "refused";
  return worker ? "awaiting_result" : "ready";
}

export function changeCall(state: SessionState, toolUseId: string, change: (call: OpenCall) => OpenCall): SessionState {
  return { ...state, calls: state.calls.map((call) => (call.toolUseId === toolUseId ? change(call) : call)) };
}

/** The result is there; the driver shows it. One that comes after the call was settled or refused is too late. */
export function arrive(state: SessionState, toolUseId: string, result: CallResult): SessionState {
  return changeCall(state, toolUseId, (call) =>
    call.status === "waiting" || call.status === "delegated" ? { ...call, status: "arrived", result } : call,
  );
}

/** Characters of one result. The server's own tools stay below it; clients, threads and webhooks send what they like. */
const longestResultText = 100_000;

/** Results reach the transcript together and in the order of the calls, whatever the order in which they arrived. */
export function settle(state: SessionState, toolUseId: string, result: CallResult): SessionState {
  // An answer that was admitted while an interrupt settled its call comes too late: all results are in the transcript.
  if (!state.calls.some((call) => call.toolUseId === toolUseId)) return state;
  const settled = changeCall(state, toolUseId, (call) =>
    call.status === "settled" ? call : { ...call, status: "settled", result },
  );
  if (settled.undecided.length > 0 || settled.calls.some((call) => call.status !== "settled")) return settled;
  const results = settled.calls.flatMap(({ callId, toolName, toolUseId: id, result: given }) => {
    if (given === null) return [];
    const content = boundContent(given.content, longestResultText, id);
    return [{ callId, toolName, toolUseId: id, content, isError: given.isError }];
  });
  return { ...settled, calls: [], transcript: [...settled.transcript, { role: "tool", results }] };
}

/** A worker's call counts like one of this server's, when it has its result. */
export function countWorker(state: SessionState, toolUseId: string): SessionState {
  const ran = state.calls.some((call) => call.worker && call.toolUseId === toolUseId && call.status !== "settled");
  return ran ? { ...state, usage: { ...state.usage, steps: state.usage.steps + 1 } } : state;
}

function countTool(state: SessionState, record: Fields): SessionState {
  const counted = countAwake(state, {}, record);
  return { ...counted, usage: { ...counted.usage, steps: counted.usage.steps + 1 } };
}

function countAwake(state: SessionState, _data: Fields, record: Fields): SessionState {
  const sandboxAwakeMs = state.usage.sandboxAwakeMs + readNumber(record["sandbox_awake_ms"]);
  return { ...state, usage: { ...state.usage, sandboxAwakeMs } };
}

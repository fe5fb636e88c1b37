/**
 * The log, reduced. Pure: the same events give the same state on every machine and at every time, which is what makes a
 * session survive its driver.
 * @module
 */
import type { AssistantPart, ModelErrorKind, TranscriptContent, TranscriptMessage } from "../models/model.ts";
import { readContent } from "./content.ts";
import type { LogEvent } from "./event.ts";
import { type CallResult, initialState, type InboxEvent, type OpenCall, type SessionState } from "./state.ts";

type Fields = Readonly<Record<string, unknown>>;
type Reducer = (state: SessionState, data: Fields, record: Fields, event: LogEvent) => SessionState;

/** Applies events in the order of their numbers. Events of unknown type change nothing but `seq`. */
export function reduce(state: SessionState, events: readonly LogEvent[]): SessionState {
  let next = state;
  for (const event of events) {
    const apply = reducers[event.type];
    if (apply !== undefined) next = apply(next, event.data ?? {}, event.record ?? {}, event);
    next = { ...next, seq: event.seq };
  }
  return next;
}

/** @example reduceLog(await readLog(database, sessionId, 0)) */
export function reduceLog(events: readonly LogEvent[]): SessionState {
  return reduce(initialState, events);
}

const reducers: Readonly<Record<string, Reducer>> = {
  "user.message": (state, data, _record, event) =>
    admit(state, { type: "message", id: event.id, content: readContent(data["content"]) }),
  "user.interrupt": (state, _data, _record, event) => admit(state, { type: "interrupt", id: event.id }),
  "user.tool_confirmation": (state, data, _record, event) =>
    admit(state, {
      type: "confirmation",
      id: event.id,
      toolUseId: String(data["tool_use_id"]),
      allow: data["result"] === "allow",
      message: typeof data["deny_message"] === "string" ? data["deny_message"] : null,
    }),
  "user.custom_tool_result": (state, data, _record, event) =>
    admit(state, {
      type: "custom_result",
      id: event.id,
      toolUseId: String(data["custom_tool_use_id"]),
      result: { content: readContent(data["content"]), isError: data["is_error"] === true },
    }),
  "x.consumed": (state, _data, record) => {
    const ids = Array.isArray(record["event_ids"]) ? record["event_ids"] : [];
    const consumed = state.inbox.filter((entry) => ids.includes(entry.id));
    const rest = { ...state, inbox: state.inbox.filter((entry) => !ids.includes(entry.id)) };
    return consumed.reduce(consume, rest);
  },
  "session.status_running": (state) => ({ ...state, status: "running" }),
  "session.status_rescheduled": (state) => ({ ...state, status: "rescheduling" }),
  "session.status_terminated": (state) => ({ ...state, status: "terminated" }),
  "session.status_idle": (state, data) => {
    const exhausted = isFields(data["stop_reason"]) && data["stop_reason"]["type"] === "retries_exhausted";
    return exhausted
      ? { ...state, status: "idle", halted: "retries_exhausted", modelFailure: null }
      : { ...state, status: "idle" };
  },
  "span.model_request_start": (state, _data, _record, event) => ({ ...state, modelCall: { startId: event.id } }),
  "span.model_request_end": endModelCall,
  "agent.tool_use": (state, data, record, event) => openCall(state, data, record, event, false),
  "agent.custom_tool_use": (state, data, record, event) => openCall(state, data, record, event, true),
  "x.tool_started": (state, _data, record) =>
    changeCall(state, String(record["tool_use_id"]), (call) => ({ ...call, status: "started" })),
  "agent.tool_result": (state, data) =>
    settle(state, String(data["tool_use_id"]), {
      content: readContent(data["content"]),
      isError: data["is_error"] === true,
    }),
};

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function admit(state: SessionState, entry: InboxEvent): SessionState {
  return { ...state, inbox: [...state.inbox, entry] };
}

function consume(state: SessionState, entry: InboxEvent): SessionState {
  switch (entry.type) {
    case "message":
      return {
        ...state,
        halted: null,
        modelFailure: null,
        transcript: appendUserMessage(state.transcript, entry.content),
      };
    case "interrupt":
      return {
        ...state,
        halted: "interrupted",
        modelFailure: null,
        calls: state.calls.map((call) =>
          call.status === "settled" || call.status === "started"
            ? call
            : { ...call, status: "refused", refusal: "The user interrupted before this call ran." },
        ),
      };
    case "confirmation":
      return changeCall(state, entry.toolUseId, (call) =>
        call.status !== "awaiting_approval"
          ? call
          : entry.allow
            ? { ...call, status: "ready" }
            : { ...call, status: "refused", refusal: entry.message ?? "The user did not allow this call." },
      );
    case "custom_result":
      return settle(state, entry.toolUseId, entry.result);
  }
}

/** Two messages without an answer between them are one turn of the user, as every provider demands. */
function appendUserMessage(
  transcript: readonly TranscriptMessage[],
  content: readonly TranscriptContent[],
): readonly TranscriptMessage[] {
  const last = transcript.at(-1);
  if (last?.role !== "user") return [...transcript, { role: "user", content }];
  return [...transcript.slice(0, -1), { role: "user", content: [...last.content, ...content] }];
}

function endModelCall(state: SessionState, data: Fields, record: Fields): SessionState {
  const usage = isFields(data["model_usage"]) ? data["model_usage"] : {};
  const count = (name: string) => (typeof usage[name] === "number" ? usage[name] : 0);
  const counted: SessionState = {
    ...state,
    modelCall: null,
    usage: {
      input: state.usage.input + count("input_tokens"),
      output: state.usage.output + count("output_tokens"),
      cacheRead: state.usage.cacheRead + count("cache_read_input_tokens"),
      cacheWrite: state.usage.cacheWrite + count("cache_creation_input_tokens"),
    },
  };
  if (data["is_error"] === true) {
    const failure = record["failure"];
    if (!isFields(failure)) return counted;
    return {
      ...counted,
      modelFailure: {
        attempts: (state.modelFailure?.attempts ?? 0) + 1,
        kind: failure["kind"] as ModelErrorKind,
        retryable: failure["retryable"] === true,
        retryAt: Number(failure["retry_at"]),
      },
    };
  }
  const content = (Array.isArray(record["content"]) ? record["content"] : []) as AssistantPart[];
  return {
    ...counted,
    modelFailure: null,
    halted: record["finish_reason"] === "refusal" ? "refusal" : state.halted,
    transcript: content.length === 0 ? state.transcript : [...state.transcript, { role: "assistant", content }],
    undecided: content
      .filter((part) => part.type === "tool_call")
      .map((part) => (record["finish_reason"] === "length" ? { ...part, input: null, malformed: cutOff } : part)),
  };
}

/** An answer that was cut by its length may hold half a command: no call of it runs. */
const cutOff = "the answer was cut off at its maximum length. Make the call again, with shorter arguments.";

function openCall(state: SessionState, data: Fields, record: Fields, event: LogEvent, custom: boolean): SessionState {
  const callId = String(record["call_id"]);
  const refusal = typeof record["refusal"] === "string" ? record["refusal"] : null;
  const permission = data["evaluated_permission"];
  const call: OpenCall = {
    toolUseId: event.id,
    callId,
    toolName: String(data["name"]),
    custom,
    input: isFields(data["input"]) ? data["input"] : {},
    status:
      refusal !== null
        ? "refused"
        : custom
          ? "awaiting_result"
          : permission === "ask"
            ? "awaiting_approval"
            : permission === "allow"
              ? "ready"
              : "refused",
    refusal: refusal ?? (permission === "deny" ? "This call is not allowed by policy." : null),
    result: null,
  };
  return {
    ...state,
    undecided: state.undecided.filter((part) => part.callId !== callId),
    calls: [...state.calls, call],
  };
}

function changeCall(state: SessionState, toolUseId: string, change: (call: OpenCall) => OpenCall): SessionState {
  return { ...state, calls: state.calls.map((call) => (call.toolUseId === toolUseId ? change(call) : call)) };
}

/** Results reach the transcript together and in the order of the calls, whatever the order in which they arrived. */
function settle(state: SessionState, toolUseId: string, result: CallResult): SessionState {
  // An answer that was admitted while an interrupt settled its call comes too late: all results are in the transcript.
  if (!state.calls.some((call) => call.toolUseId === toolUseId)) return state;
  const settled = changeCall(state, toolUseId, (call) =>
    call.status === "settled" ? call : { ...call, status: "settled", result },
  );
  if (settled.undecided.length > 0 || settled.calls.some((call) => call.status !== "settled")) return settled;
  const results = settled.calls.flatMap((call) =>
    call.result === null ? [] : [{ callId: call.callId, toolName: call.toolName, ...call.result }],
  );
  return { ...settled, calls: [], transcript: [...settled.transcript, { role: "tool", results }] };
}

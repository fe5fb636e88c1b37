/**
 * The log, reduced. Pure: the same events give the same state on every machine and at every time, which is what makes a
 * session survive its driver.
 * @module
 */
import { readContent } from "./content.ts";
import type { LogEvent } from "./event.ts";
import { callReducers, changeCall, countWorker, settle } from "./reduce/calls.ts";
import { compactionReducers } from "./reduce/compaction.ts";
import { appendUserMessage, isFields, readNumber, readStrings, type Reducers } from "./reduce/fields.ts";
import { modelReducers } from "./reduce/model-calls.ts";
import { outcomeReducers } from "./reduce/outcomes.ts";
import { skillReducers } from "./reduce/skills.ts";
import { threadReducers } from "./reduce/threads.ts";
import { bringsUntrusted } from "./reduce/untrusted.ts";
import { initialState, type InboxEvent, type OpenCall, type SessionState } from "./state.ts";

/** Applies events in the order of their numbers. Events of unknown type change nothing but `seq`. */
export function reduce(state: SessionState, events: readonly LogEvent[]): SessionState {
  let next = state;
  for (const event of events) {
    const apply = reducers[event.type];
    // Input for a thread, shown here because its session is where people answer.
    const passedOn = event.record?.["passed_on"] === true;
    if (apply !== undefined && !passedOn) next = apply(next, event.data ?? {}, event.record ?? {}, event);
    next = { ...next, seq: event.seq, untrusted: next.untrusted || bringsUntrusted(event) };
  }
  return next;
}

/** Whether the model has seen what nobody vouches for: what the session writes from then on is marked. */
export function hasReadUntrusted(state: SessionState): boolean {
  return state.untrusted;
}

/** @example reduceLog(await readLog(database, sessionId, 0)) */
export function reduceLog(events: readonly LogEvent[]): SessionState {
  return reduce(initialState, events);
}

const inboxReducers: Reducers = {
  "user.message": (state, data, _record, event) => {
    const extension = isFields(data["x_exoloop"]) ? data["x_exoloop"] : {};
    const delivery = extension["delivery"] === "queue" ? "queue" : "steer";
    const content = readContent(data["content"]);
    return admit(state, { type: "message", id: event.id, content, delivery, stopped: false });
  },
  "user.interrupt": (state, data, _record, event) =>
    // What waits already is heard, but what it would have started is stopped.
    admit(
      { ...state, inbox: state.inbox.map(stopEntry) },
      { type: "interrupt", id: event.id, alone: typeof data["session_thread_id"] === "string" },
    ),
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
  "user.tool_result": (state, data, _record, event) =>
    admit(state, {
      type: "custom_result",
      id: event.id,
      toolUseId: String(data["tool_use_id"]),
      result: { content: readContent(data["content"]), isError: data["is_error"] === true },
    }),
  "user.define_outcome": (state, data, _record, event) => {
    const rubric = isFields(data["rubric"]) ? String(data["rubric"]["content"]) : "";
    return admit(state, {
      type: "outcome",
      id: event.id,
      outcomeId: String(data["outcome_id"]),
      description: String(data["description"]),
      rubric,
      maximumIterations: readNumber(data["max_iterations"]) || 3,
      stopped: false,
    });
  },
  // Heard at the next step, but nothing starts because of it.
  "x.resources_changed": (state, _data, record, event) => {
    const content = [{ type: "text" as const, text: String(record["text"]) }];
    return admit(state, { type: "message", id: event.id, content, delivery: "steer", stopped: true });
  },
  "x.consumed": (state, _data, record) => {
    const ids = readStrings(record["event_ids"]);
    const consumed = state.inbox.filter((entry) => ids.includes(entry.id));
    const rest = { ...state, inbox: state.inbox.filter((entry) => !ids.includes(entry.id)) };
    return consumed.reduce(consume, rest);
  },
};

const statusReducers: Reducers = {
  "session.status_running": (state, _data, _record, event) => ({
    ...state,
    status: "running",
    usage: { ...state.usage, runningSince: state.usage.runningSince ?? event.createdAt.getTime() },
  }),
  "session.status_rescheduled": (state, _data, _record, event) => ({ ...stop(state, event), status: "rescheduling" }),
  "session.status_terminated": (state, _data, _record, event) => ({ ...stop(state, event), status: "terminated" }),
  "session.status_idle": (state, data, _record, event) => {
    const stopReason = isFields(data["stop_reason"]) ? data["stop_reason"] : {};
    const reason = stopReason["type"];
    const askedFor = readStrings(stopReason["event_ids"]);
    const rested = reason === "requires_action" ? state.delegation : settled(state);
    const idle: SessionState = { ...stop(state, event), status: "idle", askedFor, delegation: rested };
    // The model has had its last word on an outcome that it did not reach.
    const outcome = reason === "end_turn" && idle.outcome?.status === "acknowledging" ? null : idle.outcome;
    return reason === "retries_exhausted"
      ? { ...idle, outcome, halted: "retries_exhausted", modelFailure: null, compactionsInARow: 0 }
      : { ...idle, outcome };
  },
};

const reducers: Reducers = {
  ...inboxReducers,
  ...statusReducers,
  ...modelReducers,
  ...callReducers,
  ...threadReducers,
  ...outcomeReducers,
  ...compactionReducers,
  ...skillReducers,
};

/** A thread at rest that asks for nothing has told its result in the same transaction. */
function settled({ delegation }: SessionState): SessionState["delegation"] {
  return delegation === null ? null : { ...delegation, settled: true };
}

/** Closes the span of running time. */
function stop(state: SessionState, event: LogEvent): SessionState {
  const { runningSince, runningMs } = state.usage;
  if (runningSince === null) return state;
  const elapsed = Math.max(0, event.createdAt.getTime() - runningSince);
  return { ...state, usage: { ...state.usage, runningSince: null, runningMs: runningMs + elapsed } };
}

function admit(state: SessionState, entry: InboxEvent): SessionState {
  return { ...state, inbox: [...state.inbox, entry] };
}

function stopEntry(entry: InboxEvent): InboxEvent {
  return entry.type === "message" || entry.type === "outcome" ? { ...entry, stopped: true } : entry;
}

function consume(state: SessionState, entry: InboxEvent): SessionState {
  switch (entry.type) {
    case "message": {
      const transcript = appendUserMessage(state.transcript, entry.content);
      if (entry.stopped) return { ...state, transcript };
      return { ...state, halted: null, modelFailure: null, transcript };
    }
    case "interrupt":
      return interrupt(state);
    case "confirmation":
      return changeCall(state, entry.toolUseId, (call) => {
        if (call.status !== "awaiting_approval") return call;
        if (entry.allow) return { ...call, status: call.worker ? "awaiting_result" : "ready" };
        return { ...call, status: "refused", refusal: entry.message ?? "The user did not allow this call." };
      });
    case "custom_result":
      return settle(countWorker(state, entry.toolUseId), entry.toolUseId, entry.result);
    case "outcome": {
      const { outcomeId, description, rubric, maximumIterations } = entry;
      const task = `${description}\n\nThe work is done when it meets this rubric:\n<rubric>\n${rubric}\n</rubric>`;
      const transcript = appendUserMessage(state.transcript, [{ type: "text", text: task }]);
      if (entry.stopped) return { ...state, transcript };
      const outcome = { outcomeId, description, rubric, maximumIterations, iteration: 0, status: "working" } as const;
      return { ...state, halted: null, modelFailure: null, outcome, transcript };
    }
  }
}

function interrupt(state: SessionState): SessionState {
  return {
    ...state,
    halted: "interrupted",
    modelFailure: null,
    outcome: null,
    calls: state.calls.map((call) => (refusable(call) ? { ...call, status: "refused", refusal: interrupted } : call)),
  };
}

const interrupted = "The user interrupted before this call ended.";

/** A call that runs is aborted and settled with its own result. */
function refusable(call: OpenCall): boolean {
  return call.status !== "settled" && call.status !== "started" && call.status !== "arrived";
}

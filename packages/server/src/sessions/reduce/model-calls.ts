/** Model calls: counted and charged, whatever came of them; their answers enter the transcript. Pure. @module */
import type { AssistantPart, ModelErrorKind } from "../../models/model.ts";
import type { ModelPurpose, SessionState, ToolCallPart, Usage } from "../state.ts";
import { type Fields, isFields, readNumber, type Reducers } from "./fields.ts";

export const modelReducers: Reducers = {
  "span.model_request_start": (state, _data, record, event) => ({
    ...state,
    modelCall: { startId: event.id, purpose: readPurpose(record["purpose"]) },
  }),
  "span.model_request_end": endModelCall,
};

function readPurpose(value: unknown): ModelPurpose {
  return value === "compaction" || value === "evaluation" ? value : "step";
}

function endModelCall(state: SessionState, data: Fields, record: Fields): SessionState {
  const purpose = state.modelCall?.purpose ?? "step";
  const counted: SessionState = { ...state, modelCall: null, usage: charge(state.usage, data, record) };
  if (data["is_error"] === true) {
    const failure = record["failure"];
    return isFields(failure) ? fail(counted, purpose, failure) : counted;
  }
  const answered: SessionState = { ...counted, modelFailure: null };
  return purpose === "step" ? takeAnswer(answered, record) : answered;
}

function fail(state: SessionState, purpose: ModelPurpose, failure: Fields): SessionState {
  const earlier = state.modelFailure?.purpose === purpose ? state.modelFailure.kinds : [];
  return {
    ...state,
    modelFailure: {
      purpose,
      kinds: [...earlier, failure["kind"] as ModelErrorKind],
      retryable: failure["retryable"] === true,
      retryAt: Number(failure["retry_at"]),
    },
  };
}

function takeAnswer(state: SessionState, record: Fields): SessionState {
  const content = (Array.isArray(record["content"]) ? record["content"] : []) as AssistantPart[];
  const transcript: SessionState["transcript"] =
    content.length === 0 ? state.transcript : [...state.transcript, { role: "assistant", content }];
  const usage = isFields(record["usage"]) ? record["usage"] : {};
  const tokens = readNumber(usage["input"]) + readNumber(usage["output"]);
  return {
    ...state,
    halted: record["finish_reason"] === "refusal" ? "refusal" : state.halted,
    transcript,
    // An answer without figures leaves the last count and a longer estimated tail.
    context: tokens === 0 ? state.context : { tokens, messages: transcript.length },
    compactionsInARow: 0,
    undecided: content
      .filter((part): part is ToolCallPart => part.type === "tool_call")
      .map((part) => (record["finish_reason"] === "length" ? { ...part, input: null, malformed: cutOff } : part)),
  };
}

/** An answer that was cut by its length may hold half a command: no call of it runs. */
const cutOff = "the answer was cut off at its maximum length. Make the call again, with shorter arguments.";

function charge(usage: Usage, data: Fields, record: Fields): Usage {
  const figures = isFields(data["model_usage"]) ? data["model_usage"] : {};
  const count = (name: string) => readNumber(figures[name]);
  return {
    ...usage,
    input: usage.input + count("input_tokens"),
    output: usage.output + count("output_tokens"),
    cacheRead: usage.cacheRead + count("cache_read_input_tokens"),
    cacheWrite: usage.cacheWrite + count("cache_creation_input_tokens"),
    costMicros: usage.costMicros + readNumber(record["cost_micros"]),
    steps: usage.steps + 1,
  };
}

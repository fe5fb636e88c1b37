/** Sub-agents: threads that work on calls of this session, and the work that this session itself was given. Pure. @module */
import { readContent } from "../content.ts";
import type { SessionState, ThreadState } from "../state.ts";
import { arrive, changeCall } from "./calls.ts";
import { readNumber, readStrings, type Reducers } from "./fields.ts";

export const threadReducers: Reducers = {
  /** Written in the transaction that creates the thread, or gives it more work. */
  "x.thread_started": (state, _data, record) => {
    const thread: ThreadState = {
      threadId: String(record["thread_id"]),
      agentName: String(record["agent_name"]),
      toolUseId: String(record["tool_use_id"]),
      status: "running",
      blockedOn: [],
    };
    const others = state.threads.filter((other) => other.threadId !== thread.threadId);
    const delegated = changeCall(state, thread.toolUseId, (call) => ({ ...call, status: "delegated" }));
    return { ...delegated, threads: [...others, thread] };
  },
  /** Admitted by the thread's driver, in the transaction in which the thread comes to rest. */
  "x.thread_rested": (state, _data, record) =>
    changeThread(state, String(record["thread_id"]), (thread) => ({
      ...thread,
      status: record["terminated"] === true ? "terminated" : "idle",
      blockedOn: readStrings(record["blocked_on"]),
    })),
  "x.thread_resumed": (state, _data, record) =>
    changeThread(state, String(record["thread_id"]), (thread) => ({ ...thread, status: "running", blockedOn: [] })),
  /** The thread's result: what it used counts for the session that it belongs to. */
  "x.thread_settled": (state, _data, record) => {
    const { usage } = state;
    const result = { content: readContent(record["content"]), isError: record["is_error"] === true };
    const charged: SessionState = {
      ...state,
      usage: {
        ...usage,
        input: usage.input + readNumber(record["input_tokens"]),
        output: usage.output + readNumber(record["output_tokens"]),
        cacheRead: usage.cacheRead + readNumber(record["cache_read_tokens"]),
        cacheWrite: usage.cacheWrite + readNumber(record["cache_write_tokens"]),
        costMicros: usage.costMicros + readNumber(record["cost_micros"]),
        steps: usage.steps + readNumber(record["steps"]),
        sandboxAwakeMs: usage.sandboxAwakeMs + readNumber(record["sandbox_awake_ms"]),
      },
    };
    return arrive(charged, String(record["tool_use_id"]), result);
  },
  /** In the thread's own log: who gave it this work. */
  "x.delegated": (state, _data, record) => ({
    ...state,
    delegation: {
      parentId: String(record["parent_id"]),
      toolUseId: String(record["tool_use_id"]),
      agentName: String(record["agent_name"]),
      usageBefore: state.usage,
      settled: false,
    },
  }),
};

function changeThread(
  state: SessionState,
  threadId: string,
  change: (thread: ThreadState) => ThreadState,
): SessionState {
  return {
    ...state,
    threads: state.threads.map((thread) => (thread.threadId === threadId ? change(thread) : thread)),
  };
}

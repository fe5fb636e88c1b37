/** What a thread tells the session that it works for, in the transaction in which it comes to rest or goes on. Pure. @module */
import { type NewEvent, publicEvent, recordEvent } from "../sessions/event.ts";
import { writeContent } from "../sessions/content.ts";
import type { CallResult, Delegation, SessionState } from "../sessions/state.ts";
import { textOf } from "./compact.ts";
import { usageSince } from "./budgets.ts";
import type { StopReason } from "./decide.ts";
import type { AppendRequest } from "./effects.ts";

type ForParent = NonNullable<AppendRequest["parent"]>;

/** What a thread does that its session shows although nothing is needed of it. */
export function showInSession(request: AppendRequest, thread: ThreadIdentity): AppendRequest {
  return showEnded(showStatus(request, thread), thread);
}

/** Calls that were shown for a worker to run, and that the thread has ended: no worker is to run them any more. */
function showEnded(request: AppendRequest, thread: ThreadIdentity): AppendRequest {
  const ended = request.events.filter(({ type }) => type === "user.tool_result");
  if (ended.length === 0) return request;
  const shown = ended.map(({ id, type, data }) =>
    publicEvent(type, { ...data, session_thread_id: thread.id }, { id, record: { passed_on: true } }),
  );
  const consumed = recordEvent("x.consumed", { event_ids: ended.map(({ id }) => id) });
  const parent = request.parent ?? { sessionId: thread.parentId, events: [], wake: false };
  return { ...request, parent: { ...parent, events: [...shown, consumed, ...parent.events] } };
}

/** Changes of a thread's status. */
function showStatus(request: AppendRequest, thread: ThreadIdentity): AppendRequest {
  const status = request.events.findLast(({ type }) => shownStatuses.has(type))?.type;
  if (status === undefined || request.parent !== undefined) return request;
  const shown = publicEvent(status.replace("session.", "session.thread_"), {
    session_thread_id: thread.id,
    agent_name: thread.agentName,
  });
  return { ...request, parent: { sessionId: thread.parentId, events: [shown], wake: false } };
}

interface ThreadIdentity {
  readonly id: string;
  readonly parentId: string;
  readonly agentName: string;
}

const shownStatuses = new Set(["session.status_running", "session.status_rescheduled"]);

/** @param reason Why the thread rests. */
export function restEvents(
  threadId: string,
  delegation: Delegation,
  state: SessionState,
  reason: StopReason,
  stopDetails: unknown,
): ForParent {
  const named = { session_thread_id: threadId, agent_name: delegation.agentName };
  const idle = publicEvent("session.thread_status_idle", { ...named, stop_reason: reason, stop_details: stopDetails });
  const blockedOn = reason.type === "requires_action" ? reason.event_ids : [];
  const rested = recordEvent("x.thread_rested", { thread_id: threadId, blocked_on: blockedOn });
  const rest =
    reason.type === "requires_action"
      ? askedEvents(threadId, state, blockedOn)
      : settledEvents(threadId, delegation, state, reason);
  return { sessionId: delegation.parentId, events: [...rest, idle, rested], wake: true };
}

/** The thread was archived: nothing more comes of it. */
export function archivedEvents(threadId: string, delegation: Delegation, state: SessionState): readonly NewEvent[] {
  const named = { session_thread_id: threadId, agent_name: delegation.agentName };
  const rested = recordEvent("x.thread_rested", { thread_id: threadId, blocked_on: [], terminated: true });
  const terminated = publicEvent("session.thread_status_terminated", named);
  return [...settledEvents(threadId, delegation, state, "archived"), terminated, rested];
}

/** The thread runs again: what it was blocked on is answered. */
export function resumedEvents(threadId: string, delegation: Delegation, wasBlocked: boolean): ForParent {
  const named = { session_thread_id: threadId, agent_name: delegation.agentName };
  const running = publicEvent("session.thread_status_running", named);
  const resumed = recordEvent("x.thread_resumed", { thread_id: threadId });
  return { sessionId: delegation.parentId, events: [running, resumed], wake: wasBlocked };
}

/** Calls that need an answer are shown where people look, under their own identifiers. */
function askedEvents(threadId: string, state: SessionState, ids: readonly string[]): readonly NewEvent[] {
  return state.calls
    .filter((call) => ids.includes(call.toolUseId))
    .map((call) => {
      const data = { name: call.toolName, input: call.input, session_thread_id: threadId };
      if (call.custom) return publicEvent("agent.custom_tool_use", data, { id: call.toolUseId });
      const review = call.review === null ? {} : { x_exoloop: { review: call.review } };
      const asked = { ...data, ...review, evaluated_permission: call.status === "awaiting_approval" ? "ask" : "allow" };
      const record = call.worker ? { record: { worker: true } } : {};
      return publicEvent("agent.tool_use", asked, { id: call.toolUseId, ...record });
    });
}

function settledEvents(
  threadId: string,
  delegation: Delegation,
  state: SessionState,
  reason: StopReason | "archived",
): readonly NewEvent[] {
  if (delegation.settled) return [];
  const result = threadResult(threadId, state, reason);
  const content = writeContent(result.content);
  const used = usageSince(state.usage, delegation.usageBefore);
  return [
    publicEvent("agent.thread_message_received", {
      from_session_thread_id: threadId,
      from_agent_name: delegation.agentName,
      content,
    }),
    recordEvent("x.thread_settled", {
      thread_id: threadId,
      tool_use_id: delegation.toolUseId,
      content,
      is_error: result.isError,
      ...(state.untrusted ? { untrusted: true } : {}),
      input_tokens: used.input,
      output_tokens: used.output,
      cache_read_tokens: used.cacheRead,
      cache_write_tokens: used.cacheWrite,
      cost_micros: used.costMicros,
      steps: used.steps,
      sandbox_awake_ms: used.sandboxAwakeMs,
    }),
  ];
}

/** The model is told how to go on with this thread, and why it ended if it did not end by itself. */
function threadResult(threadId: string, state: SessionState, reason: StopReason | "archived"): CallResult {
  const last = state.transcript.findLast((message) => message.role === "assistant");
  const said = last === undefined ? "" : textOf(last.content);
  const ending = endingOf(state, reason);
  const parts = [said === "" ? "The agent gave no answer." : said, ending, `[thread_id: ${threadId}]`];
  const text = parts.filter((part) => part !== null).join("\n\n");
  return { content: [{ type: "text", text }], isError: ending !== null };
}

function endingOf(state: SessionState, reason: StopReason | "archived"): string | null {
  if (reason === "archived") return "[The agent was stopped for good before its work was done.]";
  if (state.halted === "interrupted") return "[The agent was interrupted before its work was done.]";
  switch (reason.type) {
    case "budget_reached":
      return "[The agent's budget was used up before its work was done.]";
    case "retries_exhausted":
      return "[The agent's model failed again and again before its work was done.]";
    case "refusal":
      return "[The agent's model refused to go on.]";
    default:
      return null;
  }
}

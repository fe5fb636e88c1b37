/**
 * What brings content that nobody vouches for before a model's eyes: one table. A session that has read any is untrusted
 * for good, and what it writes is marked. Pure.
 * @module
 */
import type { LogEvent } from "../event.ts";

type Judged = Pick<LogEvent, "type" | "data" | "record">;

const always = (): boolean => true;

/** Whether an event brings some, by its type. What people and the agent's definition say is trusted. */
const sources: Readonly<Record<string, (event: Judged) => boolean>> = {
  // Tools that run at the client or at a worker of its own: what they read nobody here knows.
  "user.custom_tool_result": always,
  "user.tool_result": always,
  "agent.mcp_tool_result": always,
  // A person's message that quotes somebody else, as whoever sent it says.
  "user.message": ({ data }) => extensionOf(data)["untrusted"] === true,
  // A tool has read a file with the mark, or what came to a webhook.
  "agent.tool_result": ({ record }) => record?.["untrusted"] === true || record?.["delivery"] !== undefined,
  "x.wait_ended": ({ record }) => record?.["delivery"] !== undefined,
  // Between a session and its threads, in both directions.
  "x.delegated": ({ record }) => record?.["untrusted"] === true,
  "x.thread_settled": ({ record }) => record?.["untrusted"] === true,
  // The workspace began as that of a session that had read some.
  "x.workspace_untrusted": always,
};

/** @example bringsUntrusted(event) // true for what came to a webhook */
export function bringsUntrusted(event: Judged): boolean {
  // Input for a thread, shown in its session's log: the thread reads it.
  return event.record?.["passed_on"] !== true && sources[event.type]?.(event) === true;
}

function extensionOf(data: Judged["data"]): Readonly<Record<string, unknown>> {
  const extension = data?.["x_exoloop"];
  return typeof extension === "object" && extension !== null ? { ...extension } : {};
}

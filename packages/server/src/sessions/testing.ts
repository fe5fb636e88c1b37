/** Logs for tests, written as a list of events. @module */
import type { LogEvent, NewEvent } from "./event.ts";
import { publicEvent, recordEvent } from "./event.ts";

/** Numbers events as the log would. Times are one second apart. */
export function logOf(events: readonly NewEvent[]): LogEvent[] {
  return events.map((event, index) => ({
    ...event,
    seq: index + 1,
    createdAt: new Date(Date.UTC(2030, 0, 1, 0, 0, index)),
  }));
}

export const text = (value: string) => [{ type: "text", text: value }];

export const userMessage = (id: string, value: string) => publicEvent("user.message", { content: text(value) }, { id });

export const consumed = (...ids: string[]) => recordEvent("x.consumed", { event_ids: ids });

export const modelStart = (id: string) => publicEvent("span.model_request_start", {}, { id });

/** A model's answer. Calls are `[callId, toolName, input]`. */
export function modelEnd(
  startId: string,
  answer: { readonly text?: string; readonly calls?: readonly [string, string, object][]; readonly finish?: string },
): NewEvent {
  const calls = (answer.calls ?? []).map(([callId, toolName, input]) => ({
    type: "tool_call",
    callId,
    toolName,
    input,
  }));
  const said = answer.text === undefined ? [] : text(answer.text);
  return publicEvent(
    "span.model_request_end",
    {
      model_request_start_id: startId,
      is_error: false,
      model_usage: {
        input_tokens: 10,
        output_tokens: 5,
        cache_read_input_tokens: 3,
        cache_creation_input_tokens: 0,
      },
    },
    { record: { content: [...said, ...calls], finish_reason: answer.finish ?? "stop" } },
  );
}

export const toolUse = (id: string, callId: string, name: string, permission = "allow") =>
  publicEvent(
    "agent.tool_use",
    { name, input: {}, evaluated_permission: permission },
    { id, record: { call_id: callId } },
  );

export const toolStarted = (id: string) => recordEvent("x.tool_started", { tool_use_id: id });

export const toolResult = (id: string, value: string) =>
  publicEvent("agent.tool_result", { tool_use_id: id, content: text(value), is_error: false });

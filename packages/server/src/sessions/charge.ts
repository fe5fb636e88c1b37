/** What the events of one append use up, as `reduce` counts it. Pure. @module */
import type { NewEvent } from "./event.ts";
import { isFields, readNumber } from "./reduce/fields.ts";

export interface Charge {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly costMicros: number;
  readonly steps: number;
  readonly sandboxMs: number;
  /** A span of running that began in an earlier append ends here. */
  readonly endsRunning: boolean;
}

const statuses = new Set([
  "session.status_running",
  "session.status_rescheduled",
  "session.status_idle",
  "session.status_terminated",
]);

/**
 * Null when nothing is used. What a thread used is not charged again when it is told to its parent.
 * @example chargeOf([publicEvent("agent.tool_result", { … })])?.steps // 1
 */
export function chargeOf(events: readonly NewEvent[]): Charge | null {
  const sum = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, costMicros: 0, sandboxMs: 0 };
  let steps = 0;
  for (const { type, data, record } of events) {
    if (type === "span.model_request_end") {
      const usage = isFields(data?.["model_usage"]) ? data["model_usage"] : {};
      steps += 1;
      sum.inputTokens += readNumber(usage["input_tokens"]);
      sum.outputTokens += readNumber(usage["output_tokens"]);
      sum.cacheReadTokens += readNumber(usage["cache_read_input_tokens"]);
      sum.cacheWriteTokens += readNumber(usage["cache_creation_input_tokens"]);
      sum.costMicros += readNumber(record?.["cost_micros"]);
    } else if (type === "agent.tool_result") {
      steps += 1;
      sum.sandboxMs += readNumber(record?.["sandbox_awake_ms"]);
    } else if (type === "x.sandbox_awake") {
      sum.sandboxMs += readNumber(record?.["sandbox_awake_ms"]);
    }
  }
  const status = events.find((event) => statuses.has(event.type))?.type;
  const endsRunning = status !== undefined && status !== "session.status_running";
  return steps === 0 && sum.sandboxMs === 0 && !endsRunning ? null : { ...sum, steps, endsRunning };
}

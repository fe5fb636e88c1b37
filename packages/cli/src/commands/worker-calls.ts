/**
 * Whether a session rests because a worker of its self-hosted environment runs its calls. Nobody is asked then: it goes
 * on by itself.
 * @module
 */
import { isFields, readString, type StreamedEvent } from "../render/transcript.ts";

export interface WorkerCalls {
  /** Every event, in order. Answers whether it is such a rest. */
  restsOn(event: StreamedEvent): boolean;
}

/** @example const workerCalls = createWorkerCalls(); if (workerCalls.restsOn(event)) continue; */
export function createWorkerCalls(): WorkerCalls {
  /** Built-in calls that may run. Here they would have run already; that a session rests on one means a worker. */
  const allowed = new Set<string>();
  return {
    restsOn(event) {
      const { type } = event;
      if (type === "agent.tool_use" && event["evaluated_permission"] === "allow") allowed.add(readString(event, "id"));
      if (type === "user.tool_confirmation" && event["result"] === "allow")
        allowed.add(readString(event, "tool_use_id"));
      if (type !== "session.status_idle") return false;
      const reason = event["stop_reason"];
      const ids = isFields(reason) && reason["type"] === "requires_action" ? reason["event_ids"] : [];
      return Array.isArray(ids) && ids.length > 0 && ids.every((id) => typeof id === "string" && allowed.has(id));
    },
  };
}

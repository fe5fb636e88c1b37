/**
 * A log as a client would compare it with another: public events without identifiers, times and figures, and without
 * the attempts of model calls that failed.
 * @module
 */
import { type LogEvent, isPublicType } from "../../sessions/event.ts";

export interface CanonicalEvent {
  readonly type: string;
  readonly data: unknown;
}

export function canonicalLog(events: readonly LogEvent[]): readonly CanonicalEvent[] {
  const names = new Map<string, string>();
  return inOrderOfCalls(withoutFailedAttempts(events)).map(({ id, type, data }) => ({
    type,
    data: normalise({ id, ...data }, names),
  }));
}

const idPattern = /\b(?:sevt|sesn|sthr)_[0-9A-HJKMNP-TV-Z]{26}\b|\bcall_[0-9a-f-]{36}\b/g;
const instantPattern = /\b\d{4}-\d{2}-\d{2}T[\d:.]+Z/g;
const figures = new Set(["model_usage", "usage", "used"]);

/** Names are given in the order of their first use. */
export function normalise(value: unknown, names: Map<string, string>): unknown {
  if (typeof value === "string") {
    return value.replace(instantPattern, "<instant>").replace(idPattern, (id) => {
      const known = names.get(id) ?? `${id.slice(0, id.indexOf("_"))}_${names.size + 1}`;
      names.set(id, known);
      return known;
    });
  }
  if (Array.isArray(value)) return value.map((entry) => normalise(entry, names));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => !figures.has(key));
  return Object.fromEntries(entries.map(([key, entry]) => [key, normalise(entry, names)]));
}

/** Results that follow each other stand in the order of their calls: refusals may be told before a command has ended. */
function inOrderOfCalls(events: readonly LogEvent[]): readonly LogEvent[] {
  const sorted: LogEvent[] = [];
  const place = (event: LogEvent) => events.findIndex(({ id }) => id === event.data?.["tool_use_id"]);
  for (const event of events.filter(({ type }) => isPublicType(type))) {
    let index = sorted.length;
    const isLater = (other: LogEvent | undefined) =>
      other !== undefined && other.type === event.type && place(other) > place(event);
    if (event.type === "agent.tool_result") while (isLater(sorted[index - 1])) index -= 1;
    sorted.splice(index, 0, event);
  }
  return sorted;
}

/** Without failed attempts, their errors, and the pauses between them. */
function withoutFailedAttempts(events: readonly LogEvent[]): readonly LogEvent[] {
  const failed = new Set(
    events
      .filter((event) => event.type === "span.model_request_end" && event.data?.["is_error"] === true)
      .map((event) => event.data?.["model_request_start_id"]),
  );
  let afterFailure = false;
  let paused = false;
  return events.filter((event) => {
    switch (event.type) {
      case "span.model_request_start":
        if (failed.has(event.id)) return false;
        afterFailure = false;
        return true;
      case "span.model_request_end":
        if (!failed.has(event.data?.["model_request_start_id"])) return true;
        afterFailure = true;
        return false;
      case "session.error":
        return false;
      case "session.status_rescheduled":
        if (!afterFailure) return true;
        paused = true;
        return false;
      case "session.status_running": {
        const resumes = paused;
        paused = false;
        return !resumes;
      }
      default:
        return true;
    }
  });
}

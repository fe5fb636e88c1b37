/** What tests ask of a log. @module */
import { readContent } from "../sessions/content.ts";
import type { LogEvent } from "../sessions/event.ts";
import { readStrings } from "../sessions/reduce/fields.ts";

/** Texts of events of this type. */
export function textsOf(events: readonly LogEvent[], type: string): readonly string[] {
  return events
    .filter((event) => event.type === type)
    .map((event) =>
      readContent(event.data?.["content"])
        .map((part) => (part.type === "text" ? part.text : ""))
        .join(""),
    );
}

export const resultsOf = (events: readonly LogEvent[]) => textsOf(events, "agent.tool_result");
export const answersOf = (events: readonly LogEvent[]) => textsOf(events, "agent.message");

/** Input that has entered the transcript. */
export function consumedBy(event: LogEvent): readonly string[] {
  return event.type === "x.consumed" ? readStrings(event.record?.["event_ids"]) : [];
}

/** For `eventually`: a call waits, and nothing else is left to do. */
export const isParked = (types: readonly string[]) =>
  types.includes("x.wait_started") && types.at(-1) === "session.status_rescheduled";

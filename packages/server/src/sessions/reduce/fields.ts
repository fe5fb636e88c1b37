/** What the reducers share: the form of an event's content, and how the transcript grows. Pure. @module */
import type { TranscriptContent, TranscriptMessage } from "../../models/model.ts";
import type { LogEvent } from "../event.ts";
import type { SessionState } from "../state.ts";

export type Fields = Readonly<Record<string, unknown>>;
export type Reducer = (state: SessionState, data: Fields, record: Fields, event: LogEvent) => SessionState;
export type Reducers = Readonly<Record<string, Reducer>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function readNumber(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

export function readStrings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

/** Two messages without an answer between them are one turn of the user, as every provider demands. */
export function appendUserMessage(
  transcript: readonly TranscriptMessage[],
  content: readonly TranscriptContent[],
): readonly TranscriptMessage[] {
  const last = transcript.at(-1);
  if (last?.role !== "user") return [...transcript, { role: "user", content }];
  return [...transcript.slice(0, -1), { role: "user", content: [...last.content, ...content] }];
}

/**
 * Recorded logs: what real turns have written, with names in the place of identifiers and an even clock, and what was
 * decided after each event. An older log is never recorded again: it is what an older version has left behind.
 * @module
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { LogEvent } from "../../sessions/event.ts";

export const fixturesDirectory = join(import.meta.dirname, "../fixtures");
export const declaredChangesFile = "declared-changes.json";

/** Without number and time: both follow from its place. */
export interface RecordedEvent {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly record: Readonly<Record<string, unknown>> | null;
}

export interface RecordedLog {
  readonly name: string;
  readonly events: readonly RecordedEvent[];
  /** `<number of the last event> <situation>` → the action. A situation that decides as `plain` does is left out. */
  readonly decisions: Readonly<Record<string, string>>;
  /** SHA-256 of what the model would see at the end. */
  readonly transcript: string;
}

export interface Fixture {
  readonly name: string;
  /** Where the logs come from. */
  readonly source: string;
  /** Of the loop that the decisions are those of; 0: before versions were counted. */
  readonly protocolVersion: number;
  /** Tools whose calls may run beside others. */
  readonly parallelTools: readonly string[];
  readonly logs: readonly RecordedLog[];
}

/** A decision that is not the recorded one any more, on purpose. */
export interface DeclaredChange {
  readonly fixture: string;
  readonly log: string;
  /** As in `decisions`, or `transcript`. */
  readonly place: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  /** Of the loop since when. */
  readonly protocolVersion: number;
}

export function readFixtures(): readonly Fixture[] {
  const files = readdirSync(fixturesDirectory).filter((name) => name.endsWith(".json") && name !== declaredChangesFile);
  return files.toSorted().map((name) => JSON.parse(readFileSync(join(fixturesDirectory, name), "utf8")) as Fixture);
}

export function readDeclaredChanges(): readonly DeclaredChange[] {
  return JSON.parse(readFileSync(join(fixturesDirectory, declaredChangesFile), "utf8")) as DeclaredChange[];
}

/** When recorded logs begin, in milliseconds since the epoch. Their events are one millisecond apart. */
export const recordedStart = Date.UTC(2030, 0, 1);

export function logOfFixture({ events }: Pick<RecordedLog, "events">): LogEvent[] {
  return events.map((event, index) => ({ ...event, seq: index + 1, createdAt: new Date(recordedStart + index) }));
}

export function hashOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

const idPattern = /\b([a-z]{2,8})_[0-9A-HJKMNP-TV-Z]{26}\b|\b(call)_[0-9a-f-]{36}\b/g;

/** Deterministic: the same turns give the same events, whenever they are recorded. */
export function recordEvents(events: readonly LogEvent[], names: Map<string, string>): readonly RecordedEvent[] {
  const nameIds = (text: string) =>
    text.replace(idPattern, (id, kind: string | undefined, call: string | undefined) => {
      const known = names.get(id) ?? `${kind ?? call}_${String(names.size + 1).padStart(3, "0")}`;
      names.set(id, known);
      return known;
    });
  const evenOut = (value: unknown, event: LogEvent): unknown => {
    if (typeof value === "string") return nameIds(value);
    if (typeof value === "number") return isInstant(value) ? moveInstant(value, event) : value;
    if (Array.isArray(value)) return value.map((entry) => evenOut(entry, event));
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(([key]) => key !== "active_seconds");
    return Object.fromEntries(entries.map(([key, entry]) => [key, evenOut(entry, event)]));
  };
  return events.map((event) => ({
    id: nameIds(event.id),
    type: event.type,
    data: evenOut(event.data, event) as RecordedEvent["data"],
    record: evenOut(event.record, event) as RecordedEvent["record"],
  }));
}

/** Milliseconds since the epoch, of this century. */
function isInstant(value: number): boolean {
  return Number.isInteger(value) && value > 1_500_000_000_000 && value < 4_000_000_000_000;
}

/** A trace's own clock begins where recorded logs do; instants of a real one keep their distance in seconds. */
function moveInstant(value: number, { seq, createdAt }: LogEvent): number {
  if (value >= recordedStart && createdAt.getTime() < recordedStart) return value;
  return recordedStart + seq - 1 + Math.round((value - createdAt.getTime()) / 1_000) * 1_000;
}

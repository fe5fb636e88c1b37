/**
 * One row of a session's log. Public types carry the names of the API; records, which the API never shows, begin with
 * `x.`. Together they are the session: every other table can be derived from them or is a cache.
 * @module
 */
import { createId } from "@exoloop/protocol/ids";

export interface LogEvent {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  /** What the API shows, besides id, type and processed_at. Null for records. */
  readonly data: Readonly<Record<string, unknown>> | null;
  /** What only the loop reads. */
  readonly record: Readonly<Record<string, unknown>> | null;
  readonly createdAt: Date;
}

export interface NewEvent {
  /** Allocated before the effect, so that intent and result can name each other. */
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly record: Readonly<Record<string, unknown>> | null;
}

/** @example publicEvent("agent.message", { content: [{ type: "text", text: "Done." }] }) */
export function publicEvent(
  type: string,
  data: Readonly<Record<string, unknown>>,
  options: { readonly id?: string; readonly record?: Readonly<Record<string, unknown>> } = {},
): NewEvent {
  return { id: options.id ?? createId("event"), type, data, record: options.record ?? null };
}

/** An event that the API never shows. Its type begins with `x.`. */
export function recordEvent(type: `x.${string}`, record: Readonly<Record<string, unknown>>): NewEvent {
  return { id: createId("event"), type, data: null, record };
}

/** Whether the API shows events of this type. */
export function isPublicType(type: string): boolean {
  return !type.startsWith("x.");
}

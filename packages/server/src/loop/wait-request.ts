/** What a call of `wait_for` asks for, read from the model's arguments. @module */
import type { Wait } from "../sessions/state.ts";
import { longestWaitSeconds } from "./loop-tools.ts";

const defaultTimeoutSeconds = 86_400;

export type WaitRequest =
  | { readonly type: "wait"; readonly wait: Wait }
  /** One sentence for the model. */
  | { readonly type: "invalid"; readonly problem: string };

/**
 * @param now Milliseconds since the epoch.
 * @example readWaitRequest({ seconds: 60 }, Date.now())
 */
export function readWaitRequest(input: Readonly<Record<string, unknown>>, now: number): WaitRequest {
  const names = ["seconds", "until", "webhook", "session_id"].filter((name) => (input[name] ?? null) !== null);
  const [name, ...more] = names;
  if (name === undefined || more.length > 0) {
    return invalid("give exactly one of seconds, until, webhook, session_id");
  }
  if (name === "seconds" || name === "until") {
    const until = name === "seconds" ? readSeconds(input["seconds"], now) : readInstant(input["until"]);
    if (until === null) return invalid(`${name} is not ${name === "seconds" ? "a number above 0" : "an instant"}`);
    if (until > now + longestWaitSeconds * 1_000) return invalid(`${name} is more than thirty days away`);
    return { type: "wait", wait: { type: "instant", until } };
  }
  const timeout = (input["timeout_seconds"] ?? null) === null ? defaultTimeoutSeconds : input["timeout_seconds"];
  const until = readSeconds(timeout, now);
  if (until === null || until > now + longestWaitSeconds * 1_000) {
    return invalid(`timeout_seconds is not a number from 1 to ${longestWaitSeconds}`);
  }
  const target = input[name];
  if (typeof target !== "string" || target === "" || target.length > 128) return invalid(`${name} is not a name`);
  if (name === "webhook") return { type: "wait", wait: { type: "webhook", name: target, until } };
  return { type: "wait", wait: { type: "session", sessionId: target, until } };
}

function invalid(problem: string): WaitRequest {
  return { type: "invalid", problem: `wait_for: nothing was waited for, because the arguments are wrong: ${problem}.` };
}

function readSeconds(value: unknown, now: number): number | null {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? now + Math.ceil(value * 1_000) : null;
}

/** A time zone is required: what the model takes for local time nobody knows. */
function readInstant(value: unknown): number | null {
  if (typeof value !== "string" || !/^\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d{2}:\d{2})$/.test(value)) return null;
  const instant = Date.parse(value);
  return Number.isNaN(instant) ? null : instant;
}

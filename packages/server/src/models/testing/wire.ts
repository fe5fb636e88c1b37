/** What each wire protocol of the stand-in server implements, and the steps that it can serve. @module */
import { createHash } from "node:crypto";
import { z } from "zod";
import { writtenArguments } from "../scripted-model.ts";
import type { Conversation, Step } from "../script.ts";

/** Failures that only a connection can have. `times`: how many requests fail before the step is served; one if not given. */
export type WireFault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly errorType?: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
      /** The whole body, instead of the protocol's own shape of an error. */
      readonly body?: string;
      readonly times?: number;
    }
  /** The answer begins, then an error event follows. */
  | { readonly kind: "stream_error"; readonly errorType: string; readonly times?: number }
  /** Nothing comes: not even a status (`headers`), only a status (`answer`), or half of the answer (`rest`). */
  | { readonly kind: "silence"; readonly of: "headers" | "answer" | "rest"; readonly times?: number }
  /** The connection is reset before the status, or after half of the answer. */
  | { readonly kind: "reset"; readonly before: "headers" | "rest"; readonly times?: number }
  /** The connection ends in good order, but the answer has no end. */
  | { readonly kind: "no_finish"; readonly times?: number };

export type ServedStep = Omit<Step, "fault"> & { readonly fault?: Step["fault"] | WireFault };

export interface WireEvent {
  /** The SSE `event` field, in protocols that have it. */
  readonly event?: string;
  readonly data: unknown;
}

export interface Wire {
  readonly path: string;
  /** Throws {@link WireRefusal} for what the real service refuses. */
  read(body: unknown): Conversation;
  events(step: ServedStep, model: string): readonly WireEvent[];
  /** The answer to a request that does not stream. */
  whole(step: ServedStep, model: string): unknown;
  error(type: string, message: string): unknown;
  streamError(type: string): WireEvent;
  readonly end?: string;
}

/** Answered with 400 `invalid_request_error`. */
export class WireRefusal extends Error {
  override readonly name = "WireRefusal";
}

export interface PlannedCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** Calls with their identifiers: the same step has the same ones, whether it is streamed or not. */
export function plannedCalls(step: ServedStep, prefix: string): readonly PlannedCall[] {
  const written = writtenArguments(step.toolCalls, step.fault?.kind);
  return (step.toolCalls ?? []).map(({ name, input }, index) => {
    const id = `${prefix}${digest(`${index} ${name} ${JSON.stringify(input)}`).slice(0, 16)}`;
    return { id, name, arguments: written[index] ?? "" };
  });
}

/** The seal of a thought: a request that brings the thought back must bring this with it. */
export function sealThought(thinking: string): string {
  return digest(`sealed ${thinking}`);
}

export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export function isEmptyAnswer({ fault }: ServedStep): boolean {
  return fault?.kind === "empty";
}

/** Arguments that came back. */
export function parseArguments(text: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch {
    throw new WireRefusal("The arguments of a call are no JSON object.");
  }
}

/** How long sandboxes are awake over a day, by rule. @module */
import type { Request, Trace } from "./trace.ts";

/** What our system adds around one command, measured in this run. Milliseconds. */
export interface Overheads {
  /** From the thaw to the command's start, and from its end to the freeze. */
  readonly aroundCommandMs: number;
}

export interface Awake {
  /** The loop outside: thawed for commands only. */
  readonly outsideMs: number;
  /** The loop inside: from the session's first message to its last answer. */
  readonly allSessionMs: number;
  /** The loop inside, stopped after so long without a message and awake again with the next. */
  readonly idleStopMs: number;
  /** The loop inside, awake from a message to its answer and never while a person is waited for. */
  readonly perRequestMs: number;
}

/** As most managed sandboxes are set unless told otherwise. */
const idleStopAfterMs = 15 * 60 * 1000;

/** @param thinkMs instead of the trace's own times of thinking */
export function simulate(trace: Trace, overheads: Overheads, thinkMs?: number): Awake {
  let outsideMs = 0;
  let perRequestMs = 0;
  let allSessionMs = 0;
  let idleStopMs = 0;
  for (const session of trace.sessions) {
    for (const [index, request] of session.entries()) {
      const { commandsMs, commands, busyMs } = sumRequest(request, thinkMs);
      outsideMs += commandsMs + commands * overheads.aroundCommandMs;
      perRequestMs += busyMs;
      const waitMs = index === 0 ? 0 : request.waitMs;
      allSessionMs += waitMs + busyMs;
      idleStopMs += Math.min(waitMs, idleStopAfterMs) + busyMs;
    }
    if (session.length > 0) idleStopMs += idleStopAfterMs;
  }
  return { outsideMs, allSessionMs, idleStopMs, perRequestMs };
}

function sumRequest(request: Request, thinkMs: number | undefined) {
  let commandsMs = 0;
  let commands = 0;
  let busyMs = 0;
  for (const step of request.steps) {
    for (const commandMs of step.commandMs) commandsMs += commandMs;
    commands += step.commandMs.length;
    busyMs += thinkMs ?? step.thinkMs;
  }
  return { commandsMs, commands, busyMs: busyMs + commandsMs };
}

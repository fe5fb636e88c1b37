/**
 * Effects behind a gate: a test stops the driver before, during or after the n-th of them. What was stopped does nothing
 * more, as a process that is gone; whoever claims the session next finds what it left behind.
 * @module
 */
import type { OpenCall } from "../sessions/state.ts";
import type { ReplayRule } from "../tools/tool.ts";
import type { CrashEffect, CrashMoment } from "./crash-table.ts";
import type { AppendRequest, Effects } from "./effects.ts";

/** An effect that went through the gate. */
export interface GatedEffect {
  /** Rows of the crash table that it belongs to. */
  readonly rows: readonly CrashEffect[];
  /** Whether it can be stopped half-way. */
  readonly divisible: boolean;
}

export interface CrashPoint {
  /** Which effect, counted from 1; for a second crash, from the first effect after the first crash. */
  readonly effect: number;
  /** `stalled`: before it, and the driver goes on when another one has taken over. */
  readonly moment: CrashMoment | "stalled";
}

/** The driver was stopped here. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

export interface Gate {
  /** For one driver. The points count over all drivers of the gate. */
  wrap(effects: Effects): Effects;
  /** In order, those that were stopped included. */
  readonly passed: readonly GatedEffect[];
  /** The effects at which drivers were stopped. */
  readonly crashed: readonly GatedEffect[];
}

export interface GateOptions {
  readonly points: readonly CrashPoint[];
  readonly replayOf: (toolName: string) => ReplayRule | undefined;
  /** Lets transactions that ask the engine for a turn fail before they are committed, until the answer is called. */
  readonly breakTransactions: () => () => void;
  /** What happens while a driver of this session is stalled. */
  readonly whileStalled: (sessionId: string) => Promise<void>;
}

type Pass = <Result>(
  effect: GatedEffect,
  work: () => Promise<Result>,
  /** How the effect begins, where it is stopped during it. */
  begin?: () => Promise<unknown>,
) => Promise<Result>;

/** @example createGate({ points: [{ effect: 3, moment: "after" }], replayOf, breakTransactions, whileStalled }).wrap(live) */
export function createGate(options: GateOptions): Gate {
  const pending = [...options.points];
  const passed: GatedEffect[] = [];
  const crashed: GatedEffect[] = [];
  let count = 0;

  /** One driver's life. */
  const live = (sessionId: string) => {
    let dead = false;
    const checkAlive = () => {
      if (dead) throw new SimulatedCrash("the driver is gone");
    };
    const lose = (effect: GatedEffect) => {
      crashed.push(effect);
      count = 0;
      pending.shift();
    };
    const crash = (effect: GatedEffect) => {
      dead = true;
      lose(effect);
      return new SimulatedCrash(`at ${effect.rows.join(", ")}`);
    };
    const pass: Pass = async (effect, work, begin = work) => {
      checkAlive();
      passed.push(effect);
      count += 1;
      const moment = count === pending[0]?.effect ? pending[0].moment : null;
      if (moment === "before") throw crash(effect);
      if (moment === "stalled") {
        lose(effect);
        await options.whileStalled(sessionId);
      }
      if (moment === "during") {
        const error = crash(effect);
        await begin().catch(() => undefined);
        throw error;
      }
      const result = await work();
      if (moment === "after") throw crash(effect);
      // Another effect beside this one may have stopped the driver.
      checkAlive();
      return result;
    };
    return { pass, checkAlive };
  };
  return { passed, crashed, wrap: (effects) => gateEffects(effects, live(effects.sessionId), options) };
}

function gateEffects(
  effects: Effects,
  { pass, checkAlive }: { readonly pass: Pass; readonly checkAlive: () => void },
  { replayOf, breakTransactions }: GateOptions,
): Effects {
  let purpose: CrashEffect = "call-model";
  return {
    ...effects,
    append(request) {
      purpose = purposeOf(request) ?? purpose;
      const work = () => effects.append(request);
      return pass({ rows: rowsOf(request), divisible: asksForTurn(request) }, work, () => {
        const mend = breakTransactions();
        return work().finally(mend);
      });
    },
    async readAfter(seq) {
      checkAlive();
      return effects.readAfter(seq);
    },
    callModel(request, options) {
      const lost = new AbortController();
      const abortSignal = AbortSignal.any([request.abortSignal, lost.signal]);
      const work = () => effects.callModel({ ...request, abortSignal }, options);
      return pass({ rows: [purpose], divisible: true }, work, async () => {
        const answer = work();
        await new Promise((resolve) => setImmediate(resolve));
        lost.abort();
        await answer;
      });
    },
    runTool(call, options) {
      const work = () => effects.runTool(call, options);
      return pass({ rows: [toolRow(call, replayOf)], divisible: true }, work, async () => {
        // What it has started goes on without it, as a command in its sandbox.
        void work().catch(() => undefined);
        await Promise.resolve();
      });
    },
    checkWait: (call) => pass({ rows: ["check-wait"], divisible: false }, () => effects.checkWait(call)),
    async interruptThreads(threadIds, sourceId) {
      if (threadIds.length === 0) return;
      const work = () => effects.interruptThreads(threadIds, sourceId);
      await pass({ rows: ["interrupt-threads"], divisible: false }, work);
    },
  };
}

function toolRow(call: OpenCall, replayOf: GateOptions["replayOf"]): CrashEffect {
  const replay = replayOf(call.toolName);
  if (replay === "reattach") return "run-tool-bash";
  return replay === "safe" ? "run-tool-safe" : "run-tool-never";
}

/** What the model call is for that follows this intent; null when none does. */
function purposeOf({ events }: AppendRequest): CrashEffect | null {
  const start = events.findLast((event) => event.type === "span.model_request_start");
  if (start === undefined) return null;
  const purpose = start.record?.["purpose"];
  if (purpose === "compaction") return "compact";
  return purpose === "evaluation" ? "evaluate-outcome" : "call-model";
}

/** Appends are joined: one may belong to several rows. */
function rowsOf(request: AppendRequest): readonly CrashEffect[] {
  const { events, audit = [], threads = [], waits, alarms, endedWaits, status, wake } = request;
  const has = (type: string) => events.some((event) => event.type === type);
  const parks = waits !== undefined;
  const rows: CrashEffect[] = ["append"];
  if (audit.length > 0) rows.push("decide-calls");
  if (threads.length > 0) rows.push("start-thread");
  if (request.parent !== undefined) rows.push("rest-thread");
  if (has("x.wait_started")) rows.push("start-wait");
  if (endedWaits !== undefined) rows.push(alarms === undefined ? "settle-tools" : "end-wait");
  if (wake === true) rows.push("continue-later");
  if (status === "idle") rows.push("rest");
  if (alarms !== undefined && endedWaits === undefined && !parks && status !== "idle") rows.push("wait-until");
  if (has("session.status_rescheduled") && alarms === undefined) rows.push("park");
  return rows;
}

/** Whether its transaction asks the engine for a turn. */
function asksForTurn({ wake, alarms = [], threads = [], parent }: AppendRequest): boolean {
  return wake === true || alarms.length > 0 || threads.length > 0 || parent?.wake === true;
}

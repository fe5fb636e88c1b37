/** A trace: a session with given input, whose model and tools do what they are told. @module */
import { createId } from "@exoloop/protocol/ids";
import type { Database } from "../../db/database.ts";
import { type LogEvent, type NewEvent, publicEvent, recordEvent } from "../../sessions/event.ts";
import { appendUnderLock, readLog } from "../../sessions/log.ts";
import type { TestSession } from "../../sessions/testing-database.ts";
import type { BudgetLimits } from "../budgets.ts";
import type { AgentSnapshot } from "../context.ts";
import type { Engine } from "../../engine/engine.ts";

export interface Trace {
  readonly name: string;
  readonly agent?: Partial<AgentSnapshot>;
  /** Agents that may be given work. */
  readonly roster?: readonly Partial<AgentSnapshot>[];
  readonly budget?: BudgetLimits;
  /** Workers run its tools. */
  readonly selfHosted?: true;
  /** Each is given when nothing is left to do after the one before. */
  readonly stimuli: readonly Stimulus[];
  /** Given once, while a tool that signals, or the first model call, is at work. */
  readonly signal?: { readonly during: "tool" | "model"; readonly stimulus: Stimulus };
  /** How it ends, where it does not end as `usualEnd`. */
  readonly end?: Partial<TraceEnd>;
}

export interface TraceEnd {
  /** Of the last `session.status_idle`. */
  readonly reason: string;
  /** The model's last words. */
  readonly says: string | null;
  /** Attempts of model calls that failed or were interrupted. */
  readonly failures: number;
}

export const usualEnd: TraceEnd = { reason: "end_turn", says: "Done.", failures: 0 };

/** How a session has ended. */
export function endOf(events: readonly LogEvent[]): TraceEnd {
  const idle = events.findLast((event) => event.type === "session.status_idle");
  const said = events.findLast((event) => event.type === "agent.message")?.data?.["content"];
  const failed = events.filter(({ type, data }) => type === "span.model_request_end" && data?.["is_error"] === true);
  return {
    reason: (idle?.data?.["stop_reason"] as { readonly type: string } | undefined)?.type ?? "none",
    says: (said as readonly { readonly text: string }[] | undefined)?.[0]?.text ?? null,
    failures: failed.length,
  };
}

export type Stimulus = (run: RunningTrace) => Promise<void>;

export interface RunningTrace {
  readonly database: Database;
  readonly engine: Engine;
  readonly session: TestSession;
  /** Another session of the same organization. */
  readonly other: TestSession;
  /** Told to the drivers of this process after events were admitted. */
  readonly published: (sessionId: string, events: readonly LogEvent[]) => void;
}

/** Steps of the scripted model, or its long form. */
type Script = readonly object[] | { readonly steps: readonly object[]; readonly grades?: readonly object[] };

export function scriptText(script: Script): string {
  return ["```script", JSON.stringify(script), "```"].join("\n");
}

/** A message that holds a script. */
export const say =
  (script: Script, options: { readonly delivery?: "queue"; readonly to?: "other" } = {}): Stimulus =>
  (run) => {
    const extension = options.delivery === undefined ? {} : { x_exoloop: { delivery: options.delivery } };
    const filled = scriptText(script).replaceAll("OTHER_SESSION", run.other.sessionId);
    const message = publicEvent("user.message", { content: [{ type: "text", text: filled }], ...extension });
    return admit(run, options.to === "other" ? run.other.sessionId : run.session.sessionId, [message]);
  };

export const interrupt: Stimulus = (run) => admit(run, run.session.sessionId, [publicEvent("user.interrupt", {})]);

/** Answers every call that waits for a person. */
export const answer =
  (result: "allow" | "deny"): Stimulus =>
  async (run) => {
    for (const call of await blockingCalls(run)) {
      const deny = result === "deny" ? { deny_message: "No." } : {};
      const confirmation = publicEvent("user.tool_confirmation", { tool_use_id: call.id, result, ...deny });
      await admit(run, call.sessionId, [confirmation]);
    }
  };

export const giveResult: Stimulus = async (run) => {
  for (const call of await blockingCalls(run)) {
    const content = [{ type: "text", text: "42" }];
    const result = call.custom
      ? publicEvent("user.custom_tool_result", { custom_tool_use_id: call.id, content, is_error: false })
      : publicEvent("user.tool_result", { tool_use_id: call.id, content, is_error: false });
    await admit(run, call.sessionId, [result]);
  }
};

/** A webhook's delivery, for the first call that waits. */
export const deliver: Stimulus = async (run) => {
  const log = await readLog(run.database, run.session.sessionId, 0);
  const wait = log.find((event) => event.type === "x.wait_started");
  const record = { tool_use_id: wait?.record?.["tool_use_id"], content: [{ type: "text", text: "delivered" }] };
  await admit(run, run.session.sessionId, [recordEvent("x.wait_ended", record)]);
};

export const defineOutcome =
  (script: Script, maximumIterations: number): Stimulus =>
  (run) => {
    const outcome = publicEvent("user.define_outcome", {
      outcome_id: createId("event"),
      description: scriptText(script),
      rubric: { type: "text", content: "It is good." },
      max_iterations: maximumIterations,
    });
    return admit(run, run.session.sessionId, [outcome]);
  };

/** Takes the limits away and lets the session go on. */
export const raiseBudget: Stimulus = (run) =>
  run.database.transaction().execute(async (transaction) => {
    const { sessionId } = run.session;
    await transaction.updateTable("sessions").set({ budget: null }).where("id", "=", sessionId).execute();
    await run.engine.wake(sessionId, transaction);
  });

async function admit(run: RunningTrace, sessionId: string, events: readonly NewEvent[]): Promise<void> {
  const stored = await run.database.transaction().execute(async (transaction) => {
    await transaction.selectFrom("sessions").select("id").where("id", "=", sessionId).forUpdate().execute();
    const appended = await appendUnderLock(transaction, sessionId, events);
    await run.engine.wake(sessionId, transaction);
    return appended;
  });
  run.published(sessionId, stored);
}

/** The calls that block the session, and whose they are: its own or a thread's. */
async function blockingCalls(run: RunningTrace): Promise<readonly BlockingCall[]> {
  const log = await readLog(run.database, run.session.sessionId, 0);
  const idle = log.findLast((event) => event.type === "session.status_idle");
  const reason = idle?.data?.["stop_reason"] as { readonly event_ids?: readonly string[] } | undefined;
  return (reason?.event_ids ?? []).map((id) => {
    const call = log.find((event) => event.id === id);
    const threadId = call?.data?.["session_thread_id"];
    const sessionId = typeof threadId === "string" ? threadId : run.session.sessionId;
    return { id, sessionId, custom: call?.type === "agent.custom_tool_use" };
  });
}

interface BlockingCall {
  readonly id: string;
  readonly sessionId: string;
  readonly custom: boolean;
}

/** What a call of `delegate` asks for, read from the model's arguments. @module */
import { createId, isId } from "@exoloop/protocol/ids";
import type { OpenCall, SessionState } from "../sessions/state.ts";
import { type BudgetLimits, remainingBudget, tighterBudget } from "./budgets.ts";
import type { RosterEntry } from "./context.ts";
import type { Effects, ThreadStart } from "./effects.ts";

export type DelegateRequest =
  | { readonly type: "start"; readonly start: ThreadStart }
  /** One sentence for the model. */
  | { readonly type: "invalid"; readonly problem: string };

/** Live threads of one session; more would only wait for each other. */
const maximumThreads = 50;

/** @param share By how many calls of this step what is left of the budget is divided. */
export function readDelegateRequest(
  call: OpenCall,
  state: SessionState,
  effects: Effects,
  share: number,
): DelegateRequest {
  const { agent: name, task, thread_id: threadId } = call.input;
  if (typeof task !== "string" || task.trim() === "") return invalid("task is missing");
  const budget = readBudget(call.input["budget"]);
  if (budget === null) return invalid("budget holds something that is not a limit above 0");
  const left = divide(remainingBudget(state.usage, effects.budget, effects.now()), share);
  const common = { toolUseId: call.toolUseId, task, budget: tighterBudget(budget, left) };
  if ((threadId ?? null) !== null) {
    const thread = state.threads.find((known) => known.threadId === threadId);
    if (thread === undefined) return invalid("there is no thread with this thread_id");
    if (thread.status === "terminated") return invalid("this thread has ended for good");
    // One that waits for an answer has work, also where an interrupt has taken its call from it.
    if (thread.status !== "idle" || thread.blockedOn.length > 0) return invalid("this thread is still at work");
    return { type: "start", start: { ...common, threadId: thread.threadId, agentName: thread.agentName, agent: null } };
  }
  const entry = effects.roster.find((known) => known.agent.name === name);
  if (entry === undefined) return invalid(`agent must be one of ${effects.roster.map(nameOf).join(", ")}`);
  if (state.threads.length >= maximumThreads) return invalid(`a session has at most ${maximumThreads} threads`);
  return { type: "start", start: { ...common, threadId: createId("thread"), agentName: nameOf(entry), agent: entry } };
}

function nameOf(entry: RosterEntry): string {
  return entry.agent.name;
}

function invalid(problem: string): DelegateRequest {
  return { type: "invalid", problem: `delegate: no work was given, because the arguments are wrong: ${problem}.` };
}

function readBudget(value: unknown): BudgetLimits | null {
  if ((value ?? null) === null) return {};
  if (typeof value !== "object" || value === null) return null;
  const limits: { tokens?: number; steps?: number; costMicros?: number } = {};
  for (const [name, limit] of Object.entries(value)) {
    if (typeof limit !== "number" || !(limit > 0)) return null;
    if (name === "tokens" || name === "steps") limits[name] = Math.ceil(limit);
    else if (name === "cost_usd") limits.costMicros = Math.ceil(limit * 1_000_000);
    else return null;
  }
  return limits;
}

/** Threads that work beside each other must not spend the same rest twice. */
function divide(limits: BudgetLimits, share: number): BudgetLimits {
  const divided = Object.entries(limits).map(([kind, limit]) => [kind, Math.floor(Number(limit) / share)] as const);
  return Object.fromEntries(divided);
}

/** Whether an identifier names a thread, whose log is that of another session's sub-agent. */
export function isThreadId(sessionId: string): boolean {
  return isId("thread", sessionId);
}

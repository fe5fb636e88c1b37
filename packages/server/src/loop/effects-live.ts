/** Effects that act: Postgres, the model, the tools, the engine. @module */
import type { Database } from "../db/database.ts";
import type { Engine } from "../engine/engine.ts";
import { costOf, type ModelCatalog } from "../models/catalog.ts";
import type { ModelProvider } from "../models/model.ts";
import { callDigest } from "../policy/digest.ts";
import { type Claim, readLog } from "../sessions/log.ts";
import { describeStores, type ToldStore } from "../sessions/resources/told-stores.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import type { OpenCall } from "../sessions/state.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ToolContext } from "../tools/tool.ts";
import type { ToolRegistry } from "../tools/registry.ts";
import { append } from "./append.ts";
import { type BudgetLimits, type BudgetReached, reachedBudget, usageSince } from "./budgets.ts";
import { checkWait } from "./check-wait.ts";
import {
  type AgentSnapshot,
  atWorker,
  describeRequest,
  inSandbox,
  modelsOf,
  type RosterEntry,
  usesOurTools,
} from "./context.ts";
import { decideTool } from "./tool-decision.ts";
import type { Effects, SkillsReading } from "./effects.ts";
import { interruptible, interruptThread } from "./interrupts.ts";
import { runTool } from "./run-tool.ts";
import { showInSession } from "./thread-rest.ts";
import { streamModel } from "./stream-model.ts";

export interface LiveEffectsDependencies {
  readonly database: Database;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  readonly models: ModelProvider;
  readonly catalog: ModelCatalog;
  readonly tools: ToolRegistry;
  readonly log: Logger;
  /** Budgets that several sessions share; null while there is room. */
  readonly sharedBudget?: (claim: Claim) => Promise<BudgetReached | null>;
  /** Waits until the last snapshot of the session's workspace is of its present content. Never rejects. */
  readonly captureWorkspace?: (claim: Claim) => Promise<void>;
  /** Wakes the session's sandbox for a command that the model is about to ask for. Nothing waits for it. */
  readonly sandboxWake?: SandboxWake;
  /** What the session sees below /skills, when a turn begins; without it no session is told of any. */
  readonly readSkills?: (claim: Claim, known: number | null, atWorker: boolean) => Promise<SkillsReading | null>;
  /** What a tool call of this session works with. */
  readonly toolContext: (
    claim: Claim,
    call: OpenCall,
    options: { readonly resumed: boolean; readonly abortSignal: AbortSignal },
  ) => ToolContext | Promise<ToolContext>;
}

export interface SandboxWake {
  /** A command is about to come. Never throws. */
  expect(claim: Claim): void;
  /** It was denied, or the model has changed its mind. Never throws. */
  withdraw(claim: Claim): void;
}

/** The session as its driver found it. */
export interface DrivenSession {
  readonly agent: AgentSnapshot;
  readonly roster: readonly RosterEntry[];
  readonly budget: BudgetLimits;
  /** Memory stores, as they were attached when it began. */
  readonly stores: readonly ToldStore[];
  /** The session that this thread works for; null for a session. */
  readonly parentId: string | null;
  /** Its environment is self-hosted: workers run the tools, and there is no sandbox. */
  readonly selfHosted: boolean;
}

export function createLiveEffects(
  dependencies: LiveEffectsDependencies,
  claim: Claim,
  { agent, roster, budget, parentId, selfHosted, stores }: DrivenSession,
): Effects {
  const { database, notices, models, tools, catalog } = dependencies;
  const { sessionId } = claim;
  const told = describeStores(stores);
  const workplace = [selfHosted ? atWorker : inSandbox, ...(told === null ? [] : [told])].join("\n\n");
  return {
    sessionId,
    models: modelsOf(agent),
    roster,
    budget,
    now: Date.now,
    random: Math.random,
    async append(request) {
      // A new thread begins with a copy of the workspace.
      if (request.threads?.some((start) => start.agent !== null)) await dependencies.captureWorkspace?.(claim);
      const thread = parentId === null ? null : { id: sessionId, parentId, agentName: agent.name };
      return append(dependencies, claim, thread === null ? request : showInSession(request, thread));
    },
    async readSkills(known) {
      if (!usesOurTools(agent, tools.definitions, roster)) return null;
      // A worker brings in what the agent names, and nothing else.
      if (selfHosted && (agent.skills ?? []).length === 0) return null;
      return (await dependencies.readSkills?.(claim, known, selfHosted)) ?? null;
    },
    readAfter: (seq) => readLog(database, sessionId, seq),
    reachedBudget: async ({ usage, delegation }) =>
      reachedBudget(delegation === null ? usage : usageSince(usage, delegation.usageBefore), budget, Date.now()) ??
      (await dependencies.sharedBudget?.(claim)) ??
      null,
    contextWindow: (model) => catalog.describe(model).contextWindow,
    cost(model, usage) {
      const { price } = catalog.describe(model);
      return price === null ? 0 : costOf(usage, price);
    },
    describe: (state) => describeRequest(agent, tools.definitions, roster, state, workplace),
    callModel(request, { shown }) {
      // Whatever the last answer asked for has been settled.
      dependencies.sandboxWake?.withdraw(claim);
      return streamModel(models, shown ? notices : null, sessionId, request, (toolName) => {
        if (tools.find(toolName)?.wakesSandbox !== true) return;
        // What is denied runs no command, and an approval may take days.
        if (decideTool(tools, agent, roster, toolName).decision === "allow") dependencies.sandboxWake?.expect(claim);
      });
    },
    decideCall: (call) => decideTool(tools, agent, roster, call.toolName),
    atWorker: (toolName) => selfHosted && tools.find(toolName) !== undefined,
    callDigest: (call) => callDigest({ toolName: call.toolName, input: call.input ?? {}, sessionId }),
    runTool: (call, options) => runTool(dependencies, claim, call, options),
    checkWait: (call) => checkWait(database, claim, call),
    async interruptThreads(threadIds, sourceId) {
      for (const threadId of threadIds) await interruptThread(dependencies, threadId, sourceId);
    },
    interruptible: (seq, intent, effect) => interruptible(dependencies, claim, seq, intent, effect),
  };
}

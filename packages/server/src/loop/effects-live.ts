/** Effects that act: Postgres, the model, the tools, the engine. @module */
import type { Database } from "../db/database.ts";
import type { Engine } from "../engine/engine.ts";
import { costOf, type ModelCatalog } from "../models/catalog.ts";
import { guardFiles } from "../files/routing/guard.ts";
import type { ModelProvider } from "../models/model.ts";
import { callDigest } from "../policy/digest.ts";
import { type Claim, readLog } from "../sessions/log.ts";
import { describeStores, type ToldStore } from "../sessions/resources/told-stores.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import type { OpenCall, ToolCallPart } from "../sessions/state.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { PreparedCall, ToolContext } from "../tools/tool.ts";
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
import { fileRulesOf } from "../policy/decide-call.ts";
import { promoteMemory } from "./loop-tools.ts";
import { decideTool, isOwnTool } from "./tool-decision.ts";
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
    call: Pick<OpenCall, "toolUseId" | "bound">,
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
  /** It works for a person: there may be a memory of theirs, and notes in it that others are to read. */
  readonly personal: boolean;
}

export function createLiveEffects(
  dependencies: LiveEffectsDependencies,
  claim: Claim,
  { agent, roster, budget, parentId, selfHosted, stores, personal }: DrivenSession,
): Effects {
  const { database, notices, models, tools, catalog } = dependencies;
  const { sessionId } = claim;
  const workplace = describeWorkplace(selfHosted, stores);
  const definitions = offeredDefinitions(tools, personal && !selfHosted);
  const asksAlways = (toolName: string) => tools.find(toolName)?.alwaysAsks === true;
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
      if (!seesSkills(tools, agent, roster, selfHosted)) return null;
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
    describe: (state) => describeRequest(agent, definitions, roster, state, workplace),
    callModel(request, { shown }) {
      // Whatever the last answer asked for has been settled.
      dependencies.sandboxWake?.withdraw(claim);
      return streamModel(models, shown ? notices : null, sessionId, request, (toolName) => {
        if (tools.find(toolName)?.wakesSandbox !== true) return;
        // What is denied runs no command, and an approval may take days.
        if (decideTool(tools, agent, roster, toolName).decision === "allow") dependencies.sandboxWake?.expect(claim);
      });
    },
    decideCall: (call) => decideTool(tools, agent, roster, call.toolName, call.input),
    // What a person decides on is about files of this server.
    atWorker: (toolName) => selfHosted && tools.find(toolName) !== undefined && !asksAlways(toolName),
    prepareCall: (call) => prepareCall(dependencies, claim, agent, call),
    callDigest: (call, bound) => digestOf(sessionId, call, bound),
    runTool: (call, options) => runTool(dependencies, claim, call, options, fileRulesOf(agent.tools)),
    checkWait: (call) => checkWait(database, claim, call),
    async interruptThreads(threadIds, sourceId) {
      for (const threadId of threadIds) await interruptThread(dependencies, threadId, sourceId);
    },
    interruptible: (seq, intent, effect) => interruptible(dependencies, claim, seq, intent, effect),
  };
}

/** The same for as long as the session lives: whose it is does not change. */
function offeredDefinitions({ definitions }: ToolRegistry, personal: boolean) {
  return definitions.filter(({ name }) => personal || name !== promoteMemory);
}

function describeWorkplace(selfHosted: boolean, stores: readonly ToldStore[]): string {
  const told = describeStores(stores);
  return [selfHosted ? atWorker : inSandbox, ...(told === null ? [] : [told])].join("\n\n");
}

/** A worker brings in the skills that the agent names, and nothing else. */
function seesSkills(
  { definitions }: ToolRegistry,
  agent: AgentSnapshot,
  roster: readonly RosterEntry[],
  selfHosted: boolean,
): boolean {
  if (!usesOurTools(agent, definitions, roster)) return false;
  return !selfHosted || (agent.skills ?? []).length > 0;
}

async function prepareCall(
  { tools, toolContext }: LiveEffectsDependencies,
  claim: Claim,
  agent: AgentSnapshot,
  { toolName, input }: ToolCallPart,
): Promise<PreparedCall | null> {
  const tool = tools.find(toolName);
  if (tool?.prepare === undefined || input === null || isOwnTool(agent, toolName)) return null;
  const { signal: abortSignal } = new AbortController();
  const context = await toolContext(claim, { toolUseId: "", bound: null }, { resumed: false, abortSignal });
  return tool.prepare(input, { ...context, files: guardFiles(context.files, fileRulesOf(agent.tools)) });
}

function digestOf(sessionId: string, { toolName, input }: ToolCallPart, bound?: Readonly<Record<string, unknown>>) {
  return callDigest({ toolName, input: input ?? {}, sessionId, ...(bound === undefined ? {} : { bound }) });
}

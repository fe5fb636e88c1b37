/** Effects that act: Postgres, the model, the tools, the engine. @module */
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import type { Engine } from "../engine/engine.ts";
import type { ModelProvider } from "../models/model.ts";
import { decideCall } from "../policy/decide-call.ts";
import { callDigest } from "../policy/digest.ts";
import type { LogEvent } from "../sessions/event.ts";
import { appendAsDriver, type Claim, readLog } from "../sessions/log.ts";
import type { NoticeBoard } from "../sessions/notices.ts";
import type { OpenCall } from "../sessions/state.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ToolContext, ToolResult } from "../tools/tool.ts";
import type { ToolRegistry } from "../tools/registry.ts";
import { type AgentSnapshot, describeRequest } from "./context.ts";
import type { AppendRequest, Effects } from "./effects.ts";
import { streamModel } from "./stream-model.ts";

export interface LiveEffectsDependencies {
  readonly database: Kysely<Tables>;
  readonly engine: Engine;
  readonly notices: NoticeBoard;
  readonly models: ModelProvider;
  readonly tools: ToolRegistry;
  readonly log: Logger;
  /** What a tool call of this session works with. */
  readonly toolContext: (
    claim: Claim,
    call: OpenCall,
    options: { readonly resumed: boolean; readonly abortSignal: AbortSignal },
  ) => ToolContext;
}

export function createLiveEffects(dependencies: LiveEffectsDependencies, claim: Claim, agent: AgentSnapshot): Effects {
  const { database, notices, models, tools } = dependencies;
  const readsOnly = (toolName: string) => tools.find(toolName)?.parallel === true;
  return {
    now: Date.now,
    random: Math.random,
    append: (request) => append(dependencies, claim, request),
    readAfter: (seq) => readLog(database, claim.sessionId, seq),
    describe: (state) => describeRequest(agent, tools.definitions, state),
    callModel: (request) => streamModel(models, notices, claim.sessionId, request),
    decideCall: (call) => decideCall(agent.tools, { toolName: call.toolName, readsOnly: readsOnly(call.toolName) }),
    callDigest: (call) => callDigest({ toolName: call.toolName, input: call.input ?? {}, sessionId: claim.sessionId }),
    runTool: (call, options) => runTool(dependencies, claim, call, options),
    interruptible: (seq, intent, effect) => interruptible(dependencies, claim, seq, intent, effect),
  };
}

async function append(dependencies: LiveEffectsDependencies, claim: Claim, request: AppendRequest) {
  const { database, engine, notices } = dependencies;
  const { events, wake, ...options } = request;
  const appended =
    wake === undefined
      ? await appendAsDriver(database, claim, events, options)
      : await database.transaction().execute(async (transaction) => {
          // First: it takes the row lock that a wake needs, and fails for a driver that was replaced.
          const stored = await appendAsDriver(transaction, claim, events, options);
          if (stored === null) return null;
          if (wake === "now") await engine.wake(claim.sessionId, transaction);
          else await engine.wakeAt(claim.sessionId, new Date(wake), transaction);
          return stored;
        });
  const last = appended?.at(-1);
  if (last !== undefined) notices.publish({ type: "appended", sessionId: claim.sessionId, seq: last.seq });
  return appended;
}

async function runTool(
  dependencies: LiveEffectsDependencies,
  claim: Claim,
  call: OpenCall,
  options: { readonly resumed: boolean; readonly abortSignal: AbortSignal },
): Promise<ToolResult> {
  const tool = dependencies.tools.find(call.toolName);
  if (tool === undefined) return failure(`There is no tool named ${call.toolName}.`);
  if (options.resumed && tool.replay === "never") {
    return failure(
      "Interrupted: the worker was lost while this call ran, and its outcome is unknown. Check before you repeat it.",
    );
  }
  if (options.abortSignal.aborted && tool.replay !== "reattach") {
    return failure("The user interrupted before this call ran.");
  }
  try {
    return await dependencies.tools.run(tool, call.input, dependencies.toolContext(claim, call, options));
  } catch (error) {
    if (error instanceof SandboxUnavailableError) return failure(`${error.message} ${error.remedy}`);
    // A fault of ours is told as such: rejecting would make the engine hand the same turn out again and again.
    dependencies.log.error({ session: claim.sessionId, tool: call.toolName, error }, "tool failed");
    return failure(`${call.toolName} failed because of a fault of the server; its outcome is unknown.`);
  }
}

function failure(text: string): ToolResult {
  return { content: [{ type: "text", text }], isError: true };
}

/** A notice can be lost with the process that would have sent it. */
const lookIntervalMs = 5_000;

/** Watches for an interrupt, or the end of the session, while the effect runs; the log, not the notice, says whether there is one. */
async function interruptible<Result>(
  { database, notices }: LiveEffectsDependencies,
  claim: Claim,
  seq: number,
  intent: readonly LogEvent[] | null,
  effect: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const look = async () => {
    const interrupt = await database
      .selectFrom("session_events")
      .select("seq")
      .where("session_id", "=", claim.sessionId)
      .where("type", "in", ["user.interrupt", "session.status_terminated"])
      .where("seq", ">", seq)
      .executeTakeFirst();
    if (interrupt !== undefined) controller.abort();
  };
  const unsubscribe = notices.subscribe(claim.sessionId, (notice) => {
    // A failed look costs latency only: the interrupt is consumed at the next checkpoint.
    if (notice.type === "appended") void look().catch(() => undefined);
    if (notice.type === "deleted") controller.abort();
  });
  const fallback = setInterval(() => void look().catch(() => undefined), lookIntervalMs);
  const followsDirectly = intent !== null && intent[0]?.seq === seq + 1;
  if (!followsDirectly) void look().catch(() => undefined);
  try {
    return await effect(controller.signal);
  } finally {
    clearInterval(fallback);
    unsubscribe();
  }
}

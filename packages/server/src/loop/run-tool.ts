/** One tool call, run or resumed. @module */
import { SandboxUnavailableError } from "@exoloop/sandbox/errors";
import type { FileRule } from "@exoloop/protocol/tools";
import { guardFiles } from "../files/routing/guard.ts";
import { isDatabaseAway } from "../db/database-away.ts";
import type { Claim } from "../sessions/log.ts";
import type { OpenCall } from "../sessions/state.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ToolContext, ToolResult } from "../tools/tool.ts";
import type { ToolRegistry } from "../tools/registry.ts";

interface RunOptions {
  readonly resumed: boolean;
  readonly abortSignal: AbortSignal;
}

export interface RunToolDependencies {
  readonly tools: ToolRegistry;
  readonly log: Logger;
  readonly toolContext: (
    claim: Claim,
    call: Pick<OpenCall, "toolUseId" | "bound">,
    options: RunOptions,
  ) => ToolContext | Promise<ToolContext>;
}

/**
 * What went wrong is a result. Rejects only while the database is away, when no result could be stored: the turn is
 * handed out again, and the call is resumed as its tool's replay rule says.
 * @param rules What the agent may not do with files.
 */
export async function runTool(
  dependencies: RunToolDependencies,
  claim: Claim,
  call: OpenCall,
  options: RunOptions,
  rules: readonly FileRule[] = [],
): Promise<ToolResult> {
  const tool = dependencies.tools.find(call.toolName);
  if (tool === undefined) return failure(`There is no tool named ${call.toolName}.`);
  if (options.resumed && tool.replay === "never") {
    return failure(
      "Interrupted: the worker was lost while this call ran, and its outcome is unknown. Check before you repeat it.",
    );
  }
  if (options.abortSignal.aborted && !(options.resumed && tool.replay === "reattach")) {
    return failure("The user interrupted before this call ran.");
  }
  try {
    const context = await dependencies.toolContext(claim, call, options);
    const files = guardFiles(context.files, rules);
    const result = await dependencies.tools.run(tool, call.input, { ...context, files });
    return context.hasReadUntrusted?.() === true ? { ...result, untrusted: true } : result;
  } catch (error) {
    if (error instanceof SandboxUnavailableError) return failure(`${error.message} ${error.remedy}`);
    if (isDatabaseAway(error)) throw error;
    // Any other fault of ours is told as such: rejecting would make the engine hand the same turn out again and again.
    dependencies.log.error({ session: claim.sessionId, tool: call.toolName, error }, "tool failed");
    return failure(`${call.toolName} failed because of a fault of the server; its outcome is unknown.`);
  }
}

function failure(text: string): ToolResult {
  return { content: [{ type: "text", text }], isError: true };
}

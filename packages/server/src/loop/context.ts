/** What the model is shown: instructions, tools, transcript. Pure, and its beginning never changes within a session. @module */
import type { ModelRequest, ToolDefinition } from "../models/model.ts";
import { type AgentTool, toolConfig } from "../policy/decide-call.ts";
import type { SessionState } from "../sessions/state.ts";

/** The agent as a session keeps it: the part that the loop reads. */
export interface AgentSnapshot {
  readonly name: string;
  readonly system: string | null;
  readonly model: { readonly id: string; readonly effort?: { readonly type: string } | null };
  readonly tools: readonly AgentTool[];
}

const workplace = [
  "You work in a sandbox: a Linux machine that runs your commands and is suspended between them.",
  "Your working directory is /workspace. It survives when the sandbox is replaced; nothing else in the sandbox does.",
  "Skills are directories below /skills, each with a SKILL.md that tells how to do a kind of work; they are read-only.",
  "/memory/org holds notes shared by everyone in this organization. Both are ordinary files for every tool, bash included.",
  "In commands $WORKSPACE, $SKILLS and $MEMORY name these directories.",
].join("\n");

/** @example describeRequest(agent, builtInTools, state).messages */
export function describeRequest(
  agent: AgentSnapshot,
  builtIn: readonly ToolDefinition[],
  state: SessionState,
): Omit<ModelRequest, "abortSignal"> {
  const tools = offeredTools(agent.tools, builtIn);
  const usesSandbox = tools.some((tool) => builtIn.includes(tool));
  const system = [agent.system, usesSandbox ? workplace : null].filter((part) => part !== null && part !== "");
  const effort = agent.model.effort?.type;
  return {
    model: agent.model.id,
    ...(effort === undefined ? {} : { effort }),
    system: system.join("\n\n"),
    messages: state.transcript,
    tools,
  };
}

function offeredTools(tools: readonly AgentTool[], builtIn: readonly ToolDefinition[]): readonly ToolDefinition[] {
  const enabled = builtIn.filter((tool) => toolConfig(tools, tool.name)?.enabled === true);
  const custom = tools.flatMap((tool): ToolDefinition[] =>
    tool.type === "custom" ? [{ name: tool.name, description: tool.description, inputSchema: tool.input_schema }] : [],
  );
  return [...enabled, ...custom];
}

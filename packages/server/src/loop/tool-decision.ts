/** Whether a call of the model may run, by whatever name it called the tool. Pure. @module */
import { type AgentTool, type CallDecision, decideCall } from "../policy/decide-call.ts";
import type { ToolRegistry } from "../tools/registry.ts";
import type { AgentSnapshot, RosterEntry } from "./context.ts";
import { delegateTool, isLoopTool } from "./loop-tools.ts";

/** By another name it is still the same tool, and decided alike; a client's own tool of that name comes first. */
export function decideTool(
  tools: Pick<ToolRegistry, "find">,
  agent: AgentSnapshot,
  roster: readonly RosterEntry[],
  toolName: string,
): CallDecision {
  if (toolName === delegateTool) {
    // Nobody to give work to: then it is a tool of the client's, or none.
    if (roster.length === 0) return decideCall(agent.tools.filter(isCustom), { toolName, readsOnly: true });
    // Giving work has no effect of its own: everything that the thread does is decided by its agent's policy.
    const reasons = ["the agent may give work to others"];
    return { decision: "allow", custom: false, policy: "always_allow", reasons };
  }
  const tool = tools.find(toolName);
  const readsOnly = isLoopTool(toolName) || tool?.parallel === true;
  const name = isOwnTool(agent, toolName) ? toolName : (tool?.definition.name ?? toolName);
  return decideCall(agent.tools, { toolName: name, readsOnly, alwaysAsks: tool?.alwaysAsks === true });
}

/** Whether the client brought a tool of this name: it comes before one of ours. */
export function isOwnTool(agent: AgentSnapshot, toolName: string): boolean {
  return agent.tools.some((own) => isCustom(own) && own.name === toolName);
}

function isCustom(tool: AgentTool): tool is Extract<AgentTool, { type: "custom" }> {
  return tool.type === "custom";
}

/** Whether a call of the model may run, by whatever name it called the tool. Pure. @module */
import { type AgentTool, type CallDecision, decideCall, fileRulesOf } from "../policy/decide-call.ts";
import { asksAbout } from "../policy/file-rules.ts";
import type { ToolRegistry } from "../tools/registry.ts";
import type { AgentSnapshot, RosterEntry } from "./context.ts";
import { delegateTool, isLoopTool } from "./loop-tools.ts";

/** By another name it is still the same tool, and decided alike; a client's own tool of that name comes first. */
export function decideTool(
  tools: Pick<ToolRegistry, "find">,
  agent: AgentSnapshot,
  roster: readonly RosterEntry[],
  toolName: string,
  input: Readonly<Record<string, unknown>> | null = null,
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
  const decided = decideCall(agent.tools, { toolName: name, readsOnly, alwaysAsks: tool?.alwaysAsks === true });
  if (decided.custom || decided.decision !== "allow" || input === null) return decided;
  // What a rule denies is answered by the tool, as what is not there.
  const rules = fileRulesOf(agent.tools);
  const asks = rules.length > 0 && tool?.uses?.(input).some((use) => asksAbout(rules, use)) === true;
  return asks ? { ...decided, decision: "ask", reasons: ["a rule about files asks"] } : decided;
}

/** Whether the client brought a tool of this name: it comes before one of ours. */
export function isOwnTool(agent: AgentSnapshot, toolName: string): boolean {
  return agent.tools.some((own) => isCustom(own) && own.name === toolName);
}

function isCustom(tool: AgentTool): tool is Extract<AgentTool, { type: "custom" }> {
  return tool.type === "custom";
}

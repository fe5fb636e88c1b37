/**
 * Whether a call of the model may run. Pure: decided from the agent's tools and the call; whatever is not understood is
 * denied.
 * @module
 */

export type Decision = "allow" | "ask" | "deny";

export type PermissionPolicy = "always_allow" | "always_ask" | "auto";

/** The agent's tools as the API resolves them: every configuration is present. */
export type AgentTool =
  | {
      readonly type: "agent_toolset_20260401";
      readonly default_config: ToolConfig;
      readonly configs: readonly (ToolConfig & { readonly name: string })[];
    }
  | {
      readonly type: "custom";
      readonly name: string;
      readonly description: string;
      readonly input_schema: Readonly<Record<string, unknown>>;
    }
  | { readonly type: "mcp_toolset"; readonly mcp_server_name: string };

export interface ToolConfig {
  readonly enabled: boolean;
  readonly permission_policy: { readonly type: PermissionPolicy };
}

export interface CallDecision {
  readonly decision: Decision;
  /** Whether the client runs the tool. */
  readonly custom: boolean;
  readonly policy: PermissionPolicy;
  readonly reasons: readonly string[];
}

/**
 * `auto` allows tools that only read and asks for the others.
 * @example decideCall(agent.tools, { toolName: "bash", readsOnly: false }).decision // "allow"
 */
export function decideCall(
  tools: readonly AgentTool[],
  call: { readonly toolName: string; readonly readsOnly: boolean; readonly alwaysAsks?: boolean },
): CallDecision {
  const decided = decideByPolicy(tools, call);
  if (call.alwaysAsks !== true || decided.custom || decided.decision !== "allow") return decided;
  return { decision: "ask", custom: false, policy: "always_ask", reasons: ["a person decides on every such call"] };
}

function decideByPolicy(
  tools: readonly AgentTool[],
  call: { readonly toolName: string; readonly readsOnly: boolean },
): CallDecision {
  if (tools.some((tool) => tool.type === "custom" && tool.name === call.toolName)) {
    return { decision: "allow", custom: true, policy: "always_allow", reasons: ["the client runs this tool"] };
  }
  const config = toolConfig(tools, call.toolName);
  if (config === null || !config.enabled) {
    return { decision: "deny", custom: false, policy: "always_ask", reasons: ["the agent does not have this tool"] };
  }
  const policy = config.permission_policy.type;
  switch (policy) {
    case "always_allow":
      return { decision: "allow", custom: false, policy, reasons: ["the agent's permission policy is always_allow"] };
    case "always_ask":
      return { decision: "ask", custom: false, policy, reasons: ["the agent's permission policy is always_ask"] };
    case "auto":
      return call.readsOnly
        ? { decision: "allow", custom: false, policy, reasons: ["auto: the tool only reads"] }
        : { decision: "ask", custom: false, policy, reasons: ["auto: the tool changes something"] };
    default:
      return { decision: "deny", custom: false, policy: "always_ask", reasons: ["unknown permission policy"] };
  }
}

/** Tools that only make sense with another one are configured with it: the public API names that one. */
const governedBy: ReadonlyMap<string, string> = new Map([
  ["bash_output", "bash"],
  ["kill_bash", "bash"],
  ["promote_memory", "write"],
]);

/** The configuration of a built-in tool; null when the agent has no built-in tools. */
export function toolConfig(tools: readonly AgentTool[], toolName: string): ToolConfig | null {
  const toolset = tools.find((tool) => tool.type === "agent_toolset_20260401");
  if (toolset === undefined) return null;
  const name = governedBy.get(toolName) ?? toolName;
  return toolset.configs.find((config) => config.name === name) ?? toolset.default_config;
}

/**
 * Whether a call of the model may run. Pure: decided from the agent's tools and the call; whatever is not understood is
 * denied.
 * @module
 */
import type { FileRule, ToolFamily } from "@exoloop/protocol/tools";
import { governorsOf } from "./tool-families.ts";

export type Decision = "allow" | "ask" | "deny";

export type PermissionPolicy = "always_allow" | "always_ask" | "auto";

/** The agent's tools as the API resolves them: every configuration is present. */
export type AgentTool =
  | {
      readonly type: "agent_toolset_20260401";
      readonly default_config: ToolConfig;
      readonly configs: readonly (ToolConfig & { readonly name: string })[];
      readonly x_exoloop?: ToolsetExtension;
    }
  | {
      readonly type: "custom";
      readonly name: string;
      readonly description: string;
      readonly input_schema: Readonly<Record<string, unknown>>;
    }
  | { readonly type: "mcp_toolset"; readonly mcp_server_name: string };

/** What this server adds to a toolset. */
interface ToolsetExtension {
  readonly families?: readonly ToolFamily[];
  readonly file_rules?: readonly FileRule[];
}

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

/** From the least strict; a policy that is not here is stricter than all. */
const policies: readonly string[] = ["always_allow", "auto", "always_ask"];

/** The configuration of a built-in tool, the strictest of those that govern it; null when the agent has none. */
export function toolConfig(tools: readonly AgentTool[], toolName: string): ToolConfig | null {
  const toolset = tools.find((tool) => tool.type === "agent_toolset_20260401");
  if (toolset === undefined) return null;
  const configs = governorsOf(toolName).map(
    (name) => toolset.configs.find((config) => config.name === name) ?? toolset.default_config,
  );
  const strictness = ({ permission_policy: { type } }: ToolConfig) =>
    policies.includes(type) ? policies.indexOf(type) : policies.length;
  const [strictest = toolset.default_config] = [...configs].sort((left, right) => strictness(right) - strictness(left));
  return {
    enabled: configs.every((config) => config.enabled),
    permission_policy: strictest.permission_policy,
  };
}

/** The families of tools that the agent is shown. */
export function familiesOf(tools: readonly AgentTool[]): readonly ToolFamily[] {
  return extensionOf(tools)?.families ?? [];
}

/** What the agent's tools may not do with files. */
export function fileRulesOf(tools: readonly AgentTool[]): readonly FileRule[] {
  return extensionOf(tools)?.file_rules ?? [];
}

function extensionOf(tools: readonly AgentTool[]): ToolsetExtension | undefined {
  return tools.find((tool) => tool.type === "agent_toolset_20260401")?.x_exoloop;
}

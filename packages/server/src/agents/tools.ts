/** Tools as sent → tools as stored and answered: every default resolved. Pure. @module */
import {
  type McpServer,
  type PermissionPolicy,
  type Tool,
  type ToolConfig,
  type ToolConfigInput,
  type ToolInput,
  builtInToolNames,
  toolConfig,
} from "@exoloop/protocol/tools";
import { Problem } from "../errors.ts";
import { namesOf } from "../policy/tool-families.ts";

interface Settings {
  enabled: boolean;
  permission_policy: PermissionPolicy;
}

interface SettingsInput {
  enabled?: boolean | null;
  permission_policy?: PermissionPolicy | null;
}

function resolveSettings(input: SettingsInput | null | undefined, fallback: Settings): Settings {
  return {
    enabled: input?.enabled ?? fallback.enabled,
    permission_policy: input?.permission_policy ?? fallback.permission_policy,
  };
}

/** Built-in tools run unless a policy says otherwise; what an MCP server offers is foreign, so it asks. */
const builtInDefault: Settings = { enabled: true, permission_policy: { type: "always_allow" } };
const mcpDefault: Settings = { enabled: true, permission_policy: { type: "always_ask" } };

type UrlSourcesInput = NonNullable<Extract<ToolConfigInput, { name: "web_fetch" }>["url_sources"]>;
type UrlSources = NonNullable<Extract<ToolConfig, { name: "web_fetch" }>["url_sources"]>;

function filterObject<Filter extends { type: string }>(
  filter: Filter | "all" | "none" | null | undefined,
): Filter | { type: "all" } | { type: "none" } | null {
  if (filter === "all" || filter === "none") return { type: filter };
  return filter ?? null;
}

function resolveUrlSources(input: UrlSourcesInput | null | undefined): UrlSources | null {
  if (input === null || input === undefined) return null;
  return {
    client_tool_results: filterObject(input.client_tool_results),
    server_tool_results: filterObject(input.server_tool_results),
    user_input: filterObject(input.user_input),
  };
}

function resolveConfig(input: ToolConfigInput, fallback: Settings): ToolConfig {
  const settings = resolveSettings(input, fallback);
  if (input.name !== "web_fetch" && input.name !== "web_search") {
    return toolConfig.parse({ name: input.name, type: input.name, ...settings });
  }
  const { enabled: _enabled, permission_policy: _policy, ...rest } = input;
  if (rest.name === "web_search") return { ...rest, type: rest.name, ...settings };
  return {
    ...rest,
    type: rest.name,
    ...settings,
    url_sources: resolveUrlSources(rest.url_sources),
  };
}

/** @example resolveTools([{ type: "agent_toolset_20260401" }])[0].default_config.enabled // true */
export function resolveTools(inputs: readonly ToolInput[]): Tool[] {
  return inputs.map((input): Tool => {
    if (input.type === "custom") return input;
    if (input.type === "agent_toolset_20260401") {
      const fallback = resolveSettings(input.default_config, builtInDefault);
      const configs = (input.configs ?? []).map((config) => resolveConfig(config, fallback));
      const { families = [], file_rules: rules = [] } = input.x_exoloop ?? {};
      return {
        type: input.type,
        default_config: fallback,
        configs,
        ...(families.length + rules.length === 0 ? {} : { x_exoloop: { families, file_rules: rules } }),
      };
    }
    const fallback = resolveSettings(input.default_config, mcpDefault);
    const configs = (input.configs ?? []).map((config) => ({
      name: config.name,
      ...resolveSettings(config, fallback),
    }));
    return {
      type: input.type,
      mcp_server_name: input.mcp_server_name,
      default_config: fallback,
      configs,
    };
  });
}

function refuseRepeated(names: readonly string[], where: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Problem("invalid_request", `${where}: the name ${quote(name)} appears twice.`);
    seen.add(name);
  }
}

function quote(name: string): string {
  return JSON.stringify(name);
}

/**
 * What tools and MCP servers must satisfy together.
 * @param givesWork Whether the agent may give work to others, with the tool `delegate`.
 * @throws Problem `invalid_request`
 */
export function checkTools(tools: readonly Tool[], servers: readonly McpServer[], givesWork: boolean): void {
  const toolsets = tools.filter((tool) => tool.type === "agent_toolset_20260401");
  if (toolsets.length > 1) {
    throw new Problem(
      "invalid_request",
      "tools: there can be only one agent_toolset_20260401.",
      "Put all configs into one toolset.",
    );
  }
  const custom = tools.filter((tool) => tool.type === "custom").map((tool) => tool.name);
  const families = toolsets.flatMap((toolset) => toolset.x_exoloop?.families ?? []);
  refuseRepeated(families, "tools.x_exoloop.families");
  const builtIn = toolsets.length > 0 ? [...builtInToolNames, ...namesOf(families)] : [];
  refuseRepeated([...builtIn, ...(givesWork ? ["delegate"] : []), ...custom], "tools");
  for (const tool of tools)
    if (tool.type !== "custom")
      refuseRepeated(
        tool.configs.map((config) => config.name),
        "tools.configs",
      );
  const mcpToolsets = tools.filter((tool) => tool.type === "mcp_toolset");
  const count = builtIn.length + custom.length + mcpToolsets.reduce((sum, tool) => sum + tool.configs.length, 0);
  if (count > 256) throw new Problem("invalid_request", `tools: ${count} tools are named; at most 256 are allowed.`);
  checkServers(
    mcpToolsets.map((tool) => tool.mcp_server_name),
    servers,
  );
  for (const toolset of toolsets) checkFileRules(toolset);
  for (const toolset of toolsets) for (const config of toolset.configs) checkUrlSources(config, custom);
}

/** Commands reach every file that is in the sandbox: rules that hold for tools alone would only seem to hold. */
function checkFileRules(toolset: Extract<Tool, { type: "agent_toolset_20260401" }>): void {
  const bash = toolset.configs.find((config) => config.name === "bash") ?? toolset.default_config;
  if (!bash.enabled || (toolset.x_exoloop?.file_rules.length ?? 0) === 0) return;
  throw new Problem(
    "invalid_request",
    "tools: file_rules do not hold for commands, and the agent has bash.",
    'Disable it with { "name": "bash", "enabled": false } in configs, or leave out the rules.',
  );
}

function checkServers(used: readonly string[], servers: readonly McpServer[]): void {
  const names = servers.map((server) => server.name);
  refuseRepeated(names, "mcp_servers");
  refuseRepeated(used, "tools.mcp_server_name");
  const unknown = used.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new Problem("invalid_request", `tools: no entry of mcp_servers has the name ${quote(unknown)}.`);
  }
  const unused = names.find((name) => !used.includes(name));
  if (unused !== undefined) {
    throw new Problem(
      "invalid_request",
      `mcp_servers: the server ${quote(unused)} is not used by any mcp_toolset.`,
      "Add an mcp_toolset with this mcp_server_name to tools, or remove the server.",
    );
  }
}

function checkUrlSources(config: ToolConfig, customTools: readonly string[]): void {
  if (config.name !== "web_fetch" || config.url_sources === null) return;
  const { client_tool_results: client, server_tool_results: server, user_input: user } = config.url_sources;
  if ([client, server, user].every((filter) => filter?.type === "none")) {
    throw new Problem(
      "invalid_request",
      "tools: url_sources of web_fetch allows no source at all.",
      "Disable web_fetch instead.",
    );
  }
  const references = (filter: typeof client) =>
    filter?.type === "only" || filter?.type === "except" ? filter.tools.map((tool) => tool.name) : [];
  const unknown = [
    ...references(client).filter((name) => !customTools.includes(name)),
    ...references(server).filter((name) => name !== "web_search" && name !== "web_fetch"),
  ][0];
  if (unknown !== undefined) {
    throw new Problem(
      "invalid_request",
      `tools: url_sources names the tool ${quote(unknown)}, which is not among them.`,
    );
  }
}

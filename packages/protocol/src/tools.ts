/** Tools of an agent: as they are sent, and as they are answered, with every default resolved. @module */
import { z } from "zod";

const permissionPolicy = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("always_allow") }),
  z.strictObject({ type: z.literal("always_ask") }),
  z.strictObject({ type: z.literal("auto") }),
]);
export type PermissionPolicy = z.infer<typeof permissionPolicy>;

/** What every tool's settings have in common, as sent. Null is the same as absent. */
const settings = {
  enabled: z.exactOptional(z.boolean().nullable()),
  permission_policy: z.exactOptional(permissionPolicy.nullable()),
};
const resolvedSettings = { enabled: z.boolean(), permission_policy: permissionPolicy };

export const builtInToolNames = ["bash", "edit", "read", "write", "glob", "grep", "web_fetch", "web_search"] as const;

const domain = z.string().min(1).max(253);
const domains = z.array(domain).min(1).max(64);
const domainLists = {
  allowed_domains: z.exactOptional(domains),
  blocked_domains: z.exactOptional(domains),
};

function hasOneDomainList(config: { allowed_domains?: string[]; blocked_domains?: string[] }): boolean {
  return config.allowed_domains === undefined || config.blocked_domains === undefined;
}
const oneDomainList = {
  error: "allowed_domains and blocked_domains exclude each other",
  path: ["blocked_domains"],
};

const userLocation = z.strictObject({
  type: z.literal("approximate"),
  city: z.exactOptional(z.string().max(255).nullable()),
  country: z.exactOptional(z.string().length(2).nullable()),
  region: z.exactOptional(z.string().max(255).nullable()),
  timezone: z.exactOptional(z.string().max(255).nullable()),
});

const toolReferences = z
  .array(z.strictObject({ type: z.literal("tool_reference"), name: z.string().min(1).max(128) }))
  .min(1)
  .max(256);
const urlSourceFilter = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("all") }),
  z.strictObject({ type: z.literal("none") }),
  z.strictObject({ type: z.literal("only"), tools: toolReferences }),
  z.strictObject({ type: z.literal("except"), tools: toolReferences }),
]);
const userInputFilter = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("all") }),
  z.strictObject({ type: z.literal("none") }),
]);
const filterShorthand = z.enum(["all", "none"]);
const urlSourcesInput = z.strictObject({
  client_tool_results: z.exactOptional(z.union([filterShorthand, urlSourceFilter]).nullable()),
  server_tool_results: z.exactOptional(z.union([filterShorthand, urlSourceFilter]).nullable()),
  user_input: z.exactOptional(z.union([filterShorthand, userInputFilter]).nullable()),
});
const urlSources = z.object({
  client_tool_results: urlSourceFilter.nullable(),
  server_tool_results: urlSourceFilter.nullable(),
  user_input: userInputFilter.nullable(),
});

function plainConfigInput<Name extends string>(name: Name) {
  return z.strictObject({
    name: z.literal(name),
    type: z.exactOptional(z.literal(name)),
    ...settings,
  });
}
function plainConfig<Name extends string>(name: Name) {
  return z.object({ name: z.literal(name), type: z.literal(name), ...resolvedSettings });
}

const toolConfigInput = z.discriminatedUnion("name", [
  plainConfigInput("bash"),
  plainConfigInput("edit"),
  plainConfigInput("read"),
  plainConfigInput("write"),
  plainConfigInput("glob"),
  plainConfigInput("grep"),
  z
    .strictObject({
      ...plainConfigInput("web_fetch").shape,
      ...domainLists,
      max_content_tokens: z.exactOptional(z.int().min(1).nullable()),
      url_sources: z.exactOptional(urlSourcesInput.nullable()),
    })
    .refine(hasOneDomainList, oneDomainList),
  z
    .strictObject({
      ...plainConfigInput("web_search").shape,
      ...domainLists,
      user_location: z.exactOptional(userLocation.nullable()),
    })
    .refine(hasOneDomainList, oneDomainList),
]);
export type ToolConfigInput = z.infer<typeof toolConfigInput>;

export const toolConfig = z.discriminatedUnion("name", [
  plainConfig("bash"),
  plainConfig("edit"),
  plainConfig("read"),
  plainConfig("write"),
  plainConfig("glob"),
  plainConfig("grep"),
  z.object({
    ...plainConfig("web_fetch").shape,
    ...domainLists,
    max_content_tokens: z.exactOptional(z.int().nullable()),
    url_sources: urlSources.nullable(),
  }),
  z.object({
    ...plainConfig("web_search").shape,
    ...domainLists,
    user_location: z.exactOptional(userLocation.nullable()),
  }),
]);
export type ToolConfig = z.infer<typeof toolConfig>;

const serverName = z.string().min(1).max(255);
const mcpToolName = z.string().min(1).max(128);
/** A JSON Schema of an object; members besides these are kept as they are. */
const inputSchema = z.looseObject({
  type: z.literal("object"),
  properties: z.exactOptional(z.record(z.string(), z.unknown()).nullable()),
  required: z.exactOptional(z.array(z.string()).nullable()),
});

const customToolShape = {
  type: z.literal("custom"),
  name: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, "1–128 letters, digits, underscores and hyphens are allowed"),
  description: z.string().max(16_384),
  input_schema: inputSchema,
};

/** Shapes of tools that models of other vendors are trained on; docs/guide/tools.md says what each shows. */
export const toolFamilies = ["memory_20250818", "text_editor_20250728", "apply_patch", "ls"] as const;
export type ToolFamily = (typeof toolFamilies)[number];
const families = z.array(z.enum(toolFamilies)).max(toolFamilies.length);

/** A path and all below it, by its one name here: no alias. A segment may be `*`. */
const rulePath = z
  .string()
  .max(1024)
  .regex(/^\/(?!.*\/\/)(?!.*\/\.{1,2}(?:\/|$))/, "must be absolute, without empty, . and .. segments");
/** Takes away: a file that may not be read is not there, one that may not be written is refused. */
const fileRule = z.strictObject({
  action: z.enum(["file.read", "file.write"]),
  path: rulePath,
  decision: z.enum(["ask", "deny"]),
});
export type FileRule = z.infer<typeof fileRule>;
const fileRules = z.array(fileRule).max(64);

export const toolInput = z
  .discriminatedUnion("type", [
    z.strictObject({
      type: z.literal("agent_toolset_20260401"),
      default_config: z.exactOptional(z.strictObject(settings).nullable()),
      configs: z.exactOptional(z.array(toolConfigInput).max(builtInToolNames.length)),
      x_exoloop: z.exactOptional(
        z.strictObject({ families: z.exactOptional(families), file_rules: z.exactOptional(fileRules) }).nullable(),
      ),
    }),
    z.strictObject({
      type: z.literal("mcp_toolset"),
      mcp_server_name: serverName,
      default_config: z.exactOptional(z.strictObject(settings).nullable()),
      configs: z.exactOptional(z.array(z.strictObject({ name: mcpToolName, ...settings })).max(256)),
    }),
    z.strictObject(customToolShape),
  ])
  .meta({ id: "ToolInput" });
export type ToolInput = z.infer<typeof toolInput>;

export const tool = z
  .discriminatedUnion("type", [
    z.object({
      type: z.literal("agent_toolset_20260401"),
      default_config: z.object(resolvedSettings),
      configs: z.array(toolConfig),
      x_exoloop: z.exactOptional(z.object({ families, file_rules: fileRules.default([]) })),
    }),
    z.object({
      type: z.literal("mcp_toolset"),
      mcp_server_name: serverName,
      default_config: z.object(resolvedSettings),
      configs: z.array(z.object({ name: mcpToolName, ...resolvedSettings })),
    }),
    z.object(customToolShape),
  ])
  .meta({ id: "Tool" });
export type Tool = z.infer<typeof tool>;

export const mcpServer = z.strictObject({
  type: z.literal("url"),
  name: serverName,
  url: z.url().max(2048),
});
export type McpServer = z.infer<typeof mcpServer>;

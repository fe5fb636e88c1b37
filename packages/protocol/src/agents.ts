/** Agents: a definition with immutable versions. @module */
import { z } from "zod";
import { multiagent, multiagentInput } from "./multiagent.ts";
import { pageOf } from "./pages.ts";
import { mcpServer, tool, toolInput } from "./tools.ts";
import { metadata, metadataPatch, timestamp } from "./values.ts";

const effortLevel = z.enum(["low", "medium", "high", "xhigh", "max"]);
const effort = z.strictObject({ type: effortLevel });
const speed = z.enum(["standard", "fast"]);
const modelId = z.string().min(1).max(256);

/** A model's name, or its name with settings. */
export const modelInput = z.union([
  modelId,
  z.strictObject({
    id: modelId,
    effort: z.exactOptional(z.union([effortLevel, effort]).nullable()),
    inference_geo: z.exactOptional(z.string().min(1).max(64).nullable()),
    speed: z.exactOptional(speed.nullable()),
  }),
]);
export type ModelInput = z.infer<typeof modelInput>;

const modelChoice = z.object({
  id: modelId,
  effort: z.exactOptional(effort),
  inference_geo: z.exactOptional(z.string()),
  speed: z.exactOptional(speed),
});
export type ModelChoice = z.infer<typeof modelChoice>;

const skillId = z.string().min(1).max(128);
export const skillInput = z.strictObject({
  type: z.enum(["anthropic", "custom"]),
  skill_id: skillId,
  version: z.exactOptional(z.string().min(1).max(128).nullable()),
});
export type SkillInput = z.infer<typeof skillInput>;
const skillChoice = z.object({
  type: z.enum(["anthropic", "custom"]),
  skill_id: skillId,
  version: z.string(),
});
export type SkillChoice = z.infer<typeof skillChoice>;

const executionIdentity = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("service_account") }),
  z.strictObject({ type: z.literal("aws_role"), role_arn: z.string().min(1).max(2048) }),
]);
export type ExecutionIdentity = z.infer<typeof executionIdentity>;

/** What this server adds to agents. An absent member stays as it is. */
const extensionInput = z.strictObject({
  /** Models that answer when the agent's own does not, in this order. */
  fallback_models: z.exactOptional(z.array(modelId).max(8)),
});
export type AgentExtensionInput = z.infer<typeof extensionInput>;
const extension = z.object({ fallback_models: z.array(z.string()) });
export type AgentExtension = z.infer<typeof extension>;

const name = z.string().min(1).max(255);
const description = z.string().max(2048);
const system = z.string().max(100_000);
const tools = z.array(toolInput).max(256);
const mcpServers = z.array(mcpServer).max(20);
const skills = z.array(skillInput).max(64);

export const createAgentRequest = z
  .strictObject({
    name,
    model: modelInput,
    description: z.exactOptional(description.nullable()),
    system: z.exactOptional(system.nullable()),
    tools: z.exactOptional(tools),
    mcp_servers: z.exactOptional(mcpServers),
    skills: z.exactOptional(skills),
    metadata: z.exactOptional(metadata),
    multiagent: z.exactOptional(multiagentInput.nullable()),
    execution_identity: z.exactOptional(executionIdentity.nullable()),
    x_exoloop: z.exactOptional(extensionInput.nullable()),
  })
  .meta({ id: "CreateAgentRequest" });
export type CreateAgentRequest = z.infer<typeof createAgentRequest>;

/** Absent members stay; arrays are replaced whole; null clears, except for `model` and `name`. */
export const updateAgentRequest = z
  .strictObject({
    /** The version this change is based on; another one is a `version_conflict`. */
    version: z.exactOptional(z.int().min(1)),
    name: z.exactOptional(name),
    model: z.exactOptional(modelInput),
    description: z.exactOptional(description.nullable()),
    system: z.exactOptional(system.nullable()),
    tools: z.exactOptional(tools.nullable()),
    mcp_servers: z.exactOptional(mcpServers.nullable()),
    skills: z.exactOptional(skills.nullable()),
    metadata: z.exactOptional(metadataPatch.nullable()),
    multiagent: z.exactOptional(multiagentInput.nullable()),
    execution_identity: z.exactOptional(executionIdentity.nullable()),
    x_exoloop: z.exactOptional(extensionInput.nullable()),
  })
  .meta({ id: "UpdateAgentRequest" });
export type UpdateAgentRequest = z.infer<typeof updateAgentRequest>;

/** What a version of an agent consists of. */
export const agentDefinition = z.object({
  name: z.string(),
  model: modelChoice,
  description: z.string().nullable(),
  system: z.string().nullable(),
  tools: z.array(tool),
  mcp_servers: z.array(mcpServer),
  skills: z.array(skillChoice),
  metadata: z.record(z.string(), z.string()),
  multiagent: multiagent.nullable(),
  execution_identity: executionIdentity,
  // Versions that were stored before there were fallbacks have none.
  x_exoloop: extension.default({ fallback_models: [] }),
});
export type AgentDefinition = z.infer<typeof agentDefinition>;

export const agent = z
  .object({
    id: z.string(),
    type: z.literal("agent"),
    version: z.int(),
    ...agentDefinition.shape,
    created_at: timestamp,
    updated_at: timestamp,
    archived_at: timestamp.nullable(),
  })
  .meta({ id: "Agent" });
export type Agent = z.infer<typeof agent>;

export const agentPage = pageOf(agent).meta({ id: "AgentPage" });

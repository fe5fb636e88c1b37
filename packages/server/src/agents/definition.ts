/** The definition of an agent: made from a request, changed by a request. Pure. @module */
import type {
  AgentDefinition,
  AgentExtension,
  AgentExtensionInput,
  CreateAgentRequest,
  ExecutionIdentity,
  ModelChoice,
  ModelInput,
  SkillChoice,
  SkillInput,
  UpdateAgentRequest,
} from "@exoloop/protocol/agents";
import type { Multiagent } from "@exoloop/protocol/multiagent";
import { metadata, patchMetadata } from "@exoloop/protocol/values";
import { Problem } from "../errors.ts";
import { checkTools, resolveTools } from "./tools.ts";

/** Effort is kept when a change does not name it; everything else of a model is replaced. */
export function resolveModel(input: ModelInput, previous?: ModelChoice): ModelChoice {
  const sent = typeof input === "string" ? { id: input } : input;
  const level = sent.effort === undefined ? previous?.effort : sent.effort;
  const effort = typeof level === "string" ? { type: level } : level;
  return {
    id: sent.id,
    ...(effort === undefined || effort === null ? {} : { effort }),
    ...(typeof sent.inference_geo === "string" ? { inference_geo: sent.inference_geo } : {}),
    ...(typeof sent.speed === "string" ? { speed: sent.speed } : {}),
  };
}

export function resolveSkills(inputs: readonly SkillInput[]): SkillChoice[] {
  return inputs.map((input) => ({ ...input, version: input.version ?? "latest" }));
}

function resolveIdentity(input: ExecutionIdentity | null | undefined): ExecutionIdentity {
  if (input?.type === "aws_role") {
    throw new Problem(
      "unsupported",
      "execution_identity: aws_role is not supported by this server.",
      'Leave it out, or send {"type":"service_account"}.',
    );
  }
  return { type: "service_account" };
}

const noExtension: AgentExtension = { fallback_models: [] };

/** Null clears; an absent member stays. */
function resolveExtension(input: AgentExtensionInput | null | undefined, current: AgentExtension): AgentExtension {
  if (input === null) return noExtension;
  return { fallback_models: input?.fallback_models ?? current.fallback_models };
}

/** The empty string clears, as null does. */
function textOrNull(value: string | null | undefined): string | null {
  return value === undefined || value === "" ? null : value;
}

/** @throws Problem `invalid_request`, `unsupported` */
export function newDefinition(request: CreateAgentRequest, multiagent: Multiagent | null): AgentDefinition {
  const definition: AgentDefinition = {
    name: request.name,
    model: resolveModel(request.model),
    description: textOrNull(request.description),
    system: textOrNull(request.system),
    tools: resolveTools(request.tools ?? []),
    mcp_servers: request.mcp_servers ?? [],
    skills: resolveSkills(request.skills ?? []),
    metadata: request.metadata ?? {},
    multiagent,
    execution_identity: resolveIdentity(request.execution_identity),
    x_exoloop: resolveExtension(request.x_exoloop, noExtension),
  };
  checkTools(definition.tools, definition.mcp_servers, definition.multiagent !== null);
  return definition;
}

/** @throws Problem `invalid_request`, `unsupported` */
export function changedDefinition(
  current: AgentDefinition,
  request: UpdateAgentRequest,
  multiagent: Multiagent | null,
): AgentDefinition {
  const changed: AgentDefinition = {
    name: request.name ?? current.name,
    model: request.model === undefined ? current.model : resolveModel(request.model, current.model),
    description: request.description === undefined ? current.description : textOrNull(request.description),
    system: request.system === undefined ? current.system : textOrNull(request.system),
    tools: request.tools === undefined ? current.tools : resolveTools(request.tools ?? []),
    mcp_servers: request.mcp_servers === undefined ? current.mcp_servers : (request.mcp_servers ?? []),
    skills: request.skills === undefined ? current.skills : resolveSkills(request.skills ?? []),
    metadata: changedMetadata(current.metadata, request.metadata ?? {}),
    multiagent,
    execution_identity:
      request.execution_identity === undefined
        ? current.execution_identity
        : resolveIdentity(request.execution_identity),
    x_exoloop: resolveExtension(request.x_exoloop, current.x_exoloop),
  };
  checkTools(changed.tools, changed.mcp_servers, changed.multiagent !== null);
  return changed;
}

/**
 * Applies a patch of metadata and holds the result to its limits.
 * @throws Problem `invalid_metadata`
 */
export function changedMetadata(
  current: Readonly<Record<string, string>>,
  patch: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const pairs = metadata.safeParse(patchMetadata(current, patch));
  if (!pairs.success) {
    throw new Problem(
      "invalid_metadata",
      `metadata: ${pairs.error.issues[0]?.message ?? "not valid"} after this change.`,
      "Delete a key by sending null for it.",
    );
  }
  return pairs.data;
}

/** The agent of a session: resolved once, when the session is created. @module */
import type { Agent } from "@exoloop/protocol/agents";
import type { SessionAgent, SessionAgentReference, SessionAgentUpdate } from "@exoloop/protocol/sessions";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { readAgent } from "./agents.ts";
import { resolveModel, resolveSkills } from "./definition.ts";
import { checkTools, resolveTools } from "./tools.ts";

type Overrides = Extract<SessionAgentReference, { type: "agent_with_overrides" }>;

function snapshot(agent: Agent): SessionAgent {
  const { metadata: _metadata, created_at: _created, updated_at: _updated, archived_at: _archived, ...rest } = agent;
  return rest;
}

function override(agent: SessionAgent, overrides: Overrides): SessionAgent {
  const changed: SessionAgent = {
    ...agent,
    model: overrides.model === undefined ? agent.model : resolveModel(overrides.model),
    system: overrides.system === undefined ? agent.system : overrides.system,
    tools: overrides.tools === undefined ? agent.tools : resolveTools(overrides.tools),
    mcp_servers: overrides.mcp_servers ?? agent.mcp_servers,
    skills: overrides.skills === undefined ? agent.skills : resolveSkills(overrides.skills),
  };
  checkTools(changed.tools, changed.mcp_servers);
  return changed;
}

/**
 * Resolves what `sessions.create` was given; usable inside a transaction.
 * @throws Problem `not_found`, `agent_archived`, `invalid_request`
 */
export async function resolveSessionAgent(
  database: Kysely<Tables>,
  organizationId: string,
  reference: SessionAgentReference,
): Promise<SessionAgent> {
  const asked = typeof reference === "string" ? { type: "agent" as const, id: reference } : reference;
  const agent = await readAgent(database, organizationId, asked.id, asked.version);
  if (agent.archived_at !== null) {
    throw new Problem(
      "agent_archived",
      "agent: the agent is archived and starts no new sessions.",
      "Use another agent.",
    );
  }
  return asked.type === "agent_with_overrides" ? override(snapshot(agent), asked) : snapshot(agent);
}

/**
 * Applies `sessions.update` to a session's agent. Pure; the caller checks that the session is not running.
 * @throws Problem `invalid_request`
 */
export function patchSessionAgent(agent: SessionAgent, patch: SessionAgentUpdate): SessionAgent {
  const changed: SessionAgent = {
    ...agent,
    tools: patch.tools === undefined ? agent.tools : resolveTools(patch.tools),
    mcp_servers: patch.mcp_servers ?? agent.mcp_servers,
  };
  checkTools(changed.tools, changed.mcp_servers);
  return changed;
}

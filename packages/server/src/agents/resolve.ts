/** The agent of a session: resolved once, when the session is created. @module */
import type { Agent } from "@exoloop/protocol/agents";
import type { SessionAgent, SessionAgentReference, SessionAgentUpdate } from "@exoloop/protocol/sessions";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import type { SessionMultiagent, ThreadAgent } from "@exoloop/protocol/session-agent";
import { readAgent } from "./agents.ts";
import { rosterReferences } from "./multiagent.ts";
import { resolveModel, resolveSkills } from "./definition.ts";
import { checkSkills } from "./skills.ts";
import { checkTools, resolveTools } from "./tools.ts";

type Overrides = Extract<SessionAgentReference, { type: "agent_with_overrides" }>;

function threadAgentOf(agent: Agent): ThreadAgent {
  const {
    metadata: _metadata,
    created_at: _created,
    updated_at: _updated,
    archived_at: _archived,
    multiagent: _multiagent,
    ...rest
  } = agent;
  return rest;
}

/** With the definitions of the agents that may be given work: later versions of theirs change nothing either. */
async function snapshot(database: Kysely<Tables>, organizationId: string, agent: Agent): Promise<SessionAgent> {
  const roster: ThreadAgent[] = [];
  for (const { id, version } of rosterReferences(agent.multiagent)) {
    roster.push(threadAgentOf(await readAgent(database, organizationId, id, version)));
  }
  return { ...threadAgentOf(agent), multiagent: expand(agent.multiagent, roster) };
}

function expand(multiagent: Agent["multiagent"], roster: ThreadAgent[]): SessionMultiagent | null {
  if (multiagent === null) return null;
  if (multiagent.type === "coordinator") return { ...multiagent, agents: roster };
  const { subagents } = multiagent;
  if (subagents.type === "disabled") return { ...multiagent, subagents };
  return { ...multiagent, subagents: { ...subagents, predefined_agents: roster } };
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
  checkTools(changed.tools, changed.mcp_servers, changed.multiagent !== null);
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
  const resolved = await snapshot(database, organizationId, agent);
  if (asked.type === "agent_with_overrides") await checkSkills(database, organizationId, asked.skills ?? []);
  return asked.type === "agent_with_overrides" ? override(resolved, asked) : resolved;
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
  checkTools(changed.tools, changed.mcp_servers, changed.multiagent !== null);
  return changed;
}

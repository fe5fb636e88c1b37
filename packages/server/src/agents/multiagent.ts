/** Who an agent may give work to: what a request says of it, and what becomes of the references in it. @module */
import {
  type AgentReference,
  maximumRoster,
  type Multiagent,
  type MultiagentInput,
  type MultiagentMembersInput,
  type RosterEntryInput,
} from "@exoloop/protocol/multiagent";
import type { Kysely } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";

type Entry = Exclude<RosterEntryInput, { readonly type: "advisor" }>;

/** A configuration whose new references are not resolved yet. Pure to make; resolving reads the agents. */
export interface MultiagentDraft {
  readonly type: Multiagent["type"];
  readonly field: string;
  /** Null: nobody may be given work. */
  readonly entries: readonly Entry[] | null;
}

const disabled = { type: "disabled" } as const;

function unsupported(field: string): Problem {
  return new Problem(
    "unsupported",
    `${field}: not supported by this server.`,
    'Leave it out, or send {"type":"disabled"}.',
  );
}

/**
 * What the API enables unless told otherwise and this server does not serve is disabled here. Null: no sub-agents.
 * @param stored The configuration that an update changes: of the members of the same type, those not sent stay.
 * @throws Problem `unsupported`, `invalid_request`
 */
export function draftMultiagent(
  input: MultiagentInput | null | undefined,
  stored: Multiagent | null,
): MultiagentDraft | Multiagent | null {
  if (input === undefined) return stored;
  if (input === null) return null;
  if (input.type === "multiagent_20261001") return draftMembers(input, stored);
  const entries = input.agents.map((entry, index) => {
    if (typeof entry !== "string" && entry.type === "advisor")
      throw unsupported(`multiagent.agents[${index}]: advisor`);
    return entry;
  });
  return { type: input.type, field: "multiagent.agents", entries };
}

function draftMembers(input: MultiagentMembersInput, stored: Multiagent | null): MultiagentDraft | Multiagent {
  if (input.advisor?.type === "enabled") throw unsupported("multiagent.advisor");
  if (input.workflows?.type === "enabled") throw unsupported("multiagent.workflows");
  const { type, subagents } = input;
  const field = "multiagent.subagents.predefined_agents";
  const before = stored?.type === "multiagent_20261001" ? stored : null;
  if (subagents === undefined && before !== null) return before;
  if ((subagents ?? null) === null || subagents?.type !== "enabled") return { type, field, entries: null };
  if (subagents.inline_agents?.type === "enabled") throw unsupported("multiagent.subagents.inline_agents");
  if (subagents.predefined_agents === undefined && before?.subagents.type === "enabled") return before;
  const entries = subagents.predefined_agents ?? [];
  if (entries.length > 0) return { type, field, entries };
  throw new Problem(
    "invalid_request",
    `${field}: names no agent, and inline agents are not supported by this server.`,
    "Name at least one agent, or disable subagents.",
  );
}

/** The agent whose configuration this is, in the version that has it. */
interface Owner {
  readonly organizationId: string;
  readonly agentId: string;
  readonly version: number;
}

/** @throws Problem `invalid_request` for an agent that does not exist, is archived, gives work itself, or comes twice */
export async function resolveMultiagent(
  database: Kysely<Tables>,
  owner: Owner,
  draft: MultiagentDraft | Multiagent | null,
): Promise<Multiagent | null> {
  if (draft === null) return null;
  if (!("entries" in draft)) return followOwner(draft, owner);
  if (draft.entries === null) return membersOf(null);
  const references: AgentReference[] = [];
  for (const [index, entry] of draft.entries.entries()) {
    const at = `${draft.field}[${index}]`;
    const reference = await resolveEntry(database, owner, entry, at);
    if (references.some((other) => other.id === reference.id)) {
      throw new Problem(
        "invalid_request",
        `${at}: the agent ${reference.id} is listed twice.`,
        "List each agent once.",
      );
    }
    references.push(reference);
  }
  return draft.type === "coordinator" ? { type: draft.type, agents: references } : membersOf(references);
}

function membersOf(references: AgentReference[] | null): Multiagent {
  const subagents =
    references === null
      ? disabled
      : ({ type: "enabled", inline_agents: disabled, predefined_agents: references } as const);
  return { type: "multiagent_20261001", advisor: disabled, subagents, workflows: disabled };
}

/** An agent that names itself names the version that does so. */
export function followOwner(multiagent: Multiagent, owner: Pick<Owner, "agentId" | "version">): Multiagent {
  const references = rosterReferences(multiagent).map((reference) =>
    reference.id === owner.agentId ? { ...reference, version: owner.version } : reference,
  );
  if (multiagent.type === "coordinator") return { ...multiagent, agents: references };
  return multiagent.subagents.type === "enabled" ? membersOf(references) : multiagent;
}

export function rosterReferences(multiagent: Multiagent | null): AgentReference[] {
  if (multiagent === null) return [];
  if (multiagent.type === "coordinator") return multiagent.agents;
  return multiagent.subagents.type === "enabled" ? multiagent.subagents.predefined_agents : [];
}

async function resolveEntry(database: Kysely<Tables>, owner: Owner, entry: Entry, at: string): Promise<AgentReference> {
  const asked = typeof entry === "string" ? { type: "agent" as const, id: entry } : entry;
  if (asked.type === "self") return { type: "agent", id: owner.agentId, version: owner.version };
  const row = await database
    .selectFrom("agents")
    .innerJoin("agent_versions", "agent_versions.agent_id", "agents.id")
    .select(["agents.id", "agents.archived_at", "agent_versions.version", "agent_versions.definition"])
    .where("agents.organization_id", "=", owner.organizationId)
    .where("agents.id", "=", asked.id)
    .where((where) =>
      asked.version === undefined
        ? where("agent_versions.version", "=", where.ref("agents.latest_version"))
        : where("agent_versions.version", "=", asked.version),
    )
    .executeTakeFirst();
  const wrong = row === undefined ? "does not exist" : refusalOf(row);
  if (row === undefined || wrong !== null) {
    throw new Problem("invalid_request", `${at}: this agent ${wrong}.`, `Name up to ${maximumRoster} other agents.`);
  }
  return { type: "agent", id: row.id, version: row.version };
}

function refusalOf(row: { readonly archived_at: Date | null; readonly definition: unknown }): string | null {
  if (row.archived_at !== null) return "is archived";
  const { multiagent = null } = row.definition as { readonly multiagent?: unknown };
  return multiagent === null ? null : "gives work to others itself, and only one level is allowed";
}

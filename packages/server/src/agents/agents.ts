/** Agents in Postgres. A version is written once and never changed. @module */
import { isDeepStrictEqual } from "node:util";
import {
  type Agent,
  type AgentDefinition,
  type CreateAgentRequest,
  type UpdateAgentRequest,
  agentDefinition,
} from "@exoloop/protocol/agents";
import { createId } from "@exoloop/protocol/ids";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { changedDefinition, newDefinition } from "./definition.ts";
import { draftMultiagent, followOwner, resolveMultiagent } from "./multiagent.ts";
import { checkSkills } from "./skills.ts";
import { type ListPage, type ListQuery, listCondition, listPage, positionColumn, readOrder } from "./list.ts";

/** Agents of one organization at a time: another organization's agent is `not_found`. */
export interface AgentRepository {
  /** @throws Problem `invalid_request`, `unsupported` */
  create(organizationId: string, request: CreateAgentRequest): Promise<Agent>;
  /** The latest version, unless one is asked for. @throws Problem `not_found` */
  get(organizationId: string, agentId: string, version?: number): Promise<Agent>;
  /**
   * Adds a version; a change that changes nothing adds none.
   * @throws Problem `not_found`, `agent_archived`, `version_conflict`, `invalid_request`, `unsupported`
   */
  update(organizationId: string, agentId: string, request: UpdateAgentRequest): Promise<Agent>;
  list(organizationId: string, query: ListQuery): Promise<ListPage<Agent>>;
  /** Newest first, below `before`. `next` is the last version of a page that has a successor. @throws Problem `not_found` */
  versions(
    organizationId: string,
    agentId: string,
    query: { readonly limit: number; readonly before: number | null },
  ): Promise<{ readonly rows: readonly Agent[]; readonly next: number | null }>;
  /** For good. Archiving twice answers the same. @throws Problem `not_found` */
  archive(organizationId: string, agentId: string): Promise<Agent>;
}

interface AgentRow {
  id: string;
  created_at: Date;
  archived_at: Date | null;
  version: number;
  definition: unknown;
  version_created_at: Date;
}

function toAgent(row: AgentRow): Agent {
  const updated = Math.max(row.version_created_at.getTime(), row.archived_at?.getTime() ?? 0);
  return {
    id: row.id,
    type: "agent",
    version: row.version,
    ...agentDefinition.parse(row.definition),
    created_at: row.created_at.toISOString(),
    updated_at: new Date(updated).toISOString(),
    archived_at: row.archived_at?.toISOString() ?? null,
  };
}

function agentNotFound(agentId: string): Problem {
  return new Problem("not_found", `No agent has the id ${JSON.stringify(agentId)}.`, "List them with GET /v1/agents.");
}

/** Latest versions of an organization's agents. */
function selectAgents(database: Kysely<Tables>, organizationId: string) {
  return database
    .selectFrom("agents")
    .innerJoin("agent_versions", (join) =>
      join
        .onRef("agent_versions.agent_id", "=", "agents.id")
        .onRef("agent_versions.version", "=", "agents.latest_version"),
    )
    .where("agents.organization_id", "=", organizationId)
    .select(agentColumns);
}

const agentColumns = [
  "agents.id",
  "agents.created_at",
  "agents.archived_at",
  "agent_versions.version",
  "agent_versions.definition",
  "agent_versions.created_at as version_created_at",
] as const;

function selectVersions(database: Kysely<Tables>, organizationId: string, agentId: string) {
  return database
    .selectFrom("agents")
    .innerJoin("agent_versions", "agent_versions.agent_id", "agents.id")
    .where("agents.organization_id", "=", organizationId)
    .where("agents.id", "=", agentId)
    .select(agentColumns);
}

/**
 * Reads one version; usable inside a transaction.
 * @throws Problem `not_found`
 */
export async function readAgent(
  database: Kysely<Tables>,
  organizationId: string,
  agentId: string,
  version?: number,
): Promise<Agent> {
  const query =
    version === undefined
      ? selectAgents(database, organizationId).where("agents.id", "=", agentId)
      : selectVersions(database, organizationId, agentId).where("agent_versions.version", "=", version);
  const row = await query.executeTakeFirst();
  if (row !== undefined) return toAgent(row);
  if (version === undefined) throw agentNotFound(agentId);
  await readAgent(database, organizationId, agentId);
  throw new Problem(
    "not_found",
    `The agent ${JSON.stringify(agentId)} has no version ${version}.`,
    "List them with GET /v1/agents/{id}/versions.",
  );
}

async function insertVersion(
  database: Kysely<Tables>,
  organizationId: string,
  agentId: string,
  version: number,
  definition: AgentDefinition,
): Promise<void> {
  await database
    .insertInto("agent_versions")
    .values({
      agent_id: agentId,
      organization_id: organizationId,
      version,
      definition: JSON.stringify(definition),
    })
    .execute();
}

async function createAgent(
  database: Kysely<Tables>,
  organizationId: string,
  request: CreateAgentRequest,
): Promise<Agent> {
  const draft = draftMultiagent(request.multiagent, null);
  return database.transaction().execute(async (transaction) => {
    const id = createId("agent");
    const owner = { organizationId, agentId: id, version: 1 };
    await checkSkills(transaction, organizationId, request.skills ?? []);
    const definition = newDefinition(request, await resolveMultiagent(transaction, owner, draft));
    await transaction
      .insertInto("agents")
      .values({ id, organization_id: organizationId, latest_version: 1, archived_at: null })
      .execute();
    await insertVersion(transaction, organizationId, id, 1, definition);
    return readAgent(transaction, organizationId, id);
  });
}

async function updateAgent(
  database: Kysely<Tables>,
  organizationId: string,
  agentId: string,
  request: UpdateAgentRequest,
): Promise<Agent> {
  return database.transaction().execute(async (transaction) => {
    await transaction
      .selectFrom("agents")
      .select("id")
      .where("id", "=", agentId)
      .where("organization_id", "=", organizationId)
      .forUpdate()
      .executeTakeFirst();
    const current = await readAgent(transaction, organizationId, agentId);
    if (current.archived_at !== null) {
      throw new Problem("agent_archived", "The agent is archived and cannot be changed.", "Create a new agent.");
    }
    if (request.version !== undefined && request.version !== current.version) {
      throw new Problem(
        "version_conflict",
        `version: the agent is at version ${current.version}, not ${request.version}.`,
        "Read it again, apply the change to what you read, and send that version.",
      );
    }
    const definition = agentDefinition.parse(current);
    const owner = { organizationId, agentId, version: current.version };
    const draft = draftMultiagent(request.multiagent, definition.multiagent);
    const multiagent = await resolveMultiagent(transaction, owner, draft);
    await checkSkills(transaction, organizationId, request.skills ?? []);
    const changed = changedDefinition(definition, request, multiagent);
    if (isDeepStrictEqual(changed, definition)) return current;
    const version = current.version + 1;
    const next = multiagent === null ? null : followOwner(multiagent, { agentId, version });
    await insertVersion(transaction, organizationId, agentId, version, { ...changed, multiagent: next });
    await transaction.updateTable("agents").set({ latest_version: version }).where("id", "=", agentId).execute();
    return readAgent(transaction, organizationId, agentId);
  });
}

async function listAgents(
  database: Kysely<Tables>,
  organizationId: string,
  query: ListQuery,
): Promise<ListPage<Agent>> {
  const direction = readOrder(query);
  const rows = await database
    .with("page", (page) =>
      page
        .selectFrom("agents")
        .selectAll()
        .select(positionColumn.as("list_position"))
        .where("organization_id", "=", organizationId)
        .where(listCondition(query))
        .orderBy("created_at", direction)
        .orderBy("id", direction)
        .limit(query.limit + 1),
    )
    .selectFrom("page")
    .innerJoin("agent_versions", (join) =>
      join.onRef("agent_versions.agent_id", "=", "page.id").onRef("agent_versions.version", "=", "page.latest_version"),
    )
    .select([
      "page.id",
      "page.created_at",
      "page.archived_at",
      "page.list_position",
      "agent_versions.version",
      "agent_versions.definition",
      "agent_versions.created_at as version_created_at",
    ])
    .orderBy("page.created_at", direction)
    .orderBy("page.id", direction)
    .execute();
  const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...page, rows: page.rows.map(toAgent) };
}

/** @example const agents = createAgentRepository(database); */
export function createAgentRepository(database: Kysely<Tables>): AgentRepository {
  return {
    create: (organizationId, request) => createAgent(database, organizationId, request),
    get: (organizationId, agentId, version) => readAgent(database, organizationId, agentId, version),
    update: (organizationId, agentId, request) => updateAgent(database, organizationId, agentId, request),
    list: (organizationId, query) => listAgents(database, organizationId, query),
    async versions(organizationId, agentId, query) {
      await readAgent(database, organizationId, agentId);
      const rows = await selectVersions(database, organizationId, agentId)
        .$if(query.before !== null, (select) => select.where("agent_versions.version", "<", query.before ?? 0))
        .orderBy("agent_versions.version", "desc")
        .limit(query.limit + 1)
        .execute();
      const page = rows.slice(0, query.limit).map(toAgent);
      return {
        rows: page,
        next: rows.length > query.limit ? (page.at(-1)?.version ?? null) : null,
      };
    },
    async archive(organizationId, agentId) {
      await database
        .updateTable("agents")
        .set({ archived_at: sql<Date>`coalesce(archived_at, now())` })
        .where("id", "=", agentId)
        .where("organization_id", "=", organizationId)
        .execute();
      return readAgent(database, organizationId, agentId);
    },
  };
}

/** Environments in Postgres. @module */
import {
  type CreateEnvironmentRequest,
  type Environment,
  type EnvironmentConfig,
  type EnvironmentConfigInput,
  type UpdateEnvironmentRequest,
  environmentConfig,
} from "@exoloop/protocol/environments";
import { createId } from "@exoloop/protocol/ids";
import { type Kysely, sql } from "kysely";
import type { Tables } from "../db/tables.ts";
import { Problem } from "../errors.ts";
import { changedMetadata } from "./definition.ts";
import { resolveConfig } from "./environment-config.ts";
import { type ListPage, type ListQuery, listCondition, listPage, positionColumn, readOrder } from "./list.ts";

/** Environments of one organization at a time: another organization's environment is `not_found`. */
export interface EnvironmentRepository {
  /** @throws Problem `invalid_request`, `unsupported` */
  create(organizationId: string, request: CreateEnvironmentRequest): Promise<Environment>;
  /** @throws Problem `not_found` */
  get(organizationId: string, environmentId: string): Promise<Environment>;
  /** @throws Problem `not_found`, `environment_archived`, `invalid_config_type_change`, `invalid_request`, `unsupported` */
  update(organizationId: string, environmentId: string, request: UpdateEnvironmentRequest): Promise<Environment>;
  list(organizationId: string, query: ListQuery): Promise<ListPage<Environment>>;
  /** For good. Archiving twice answers the same. @throws Problem `not_found` */
  archive(organizationId: string, environmentId: string): Promise<Environment>;
  /** @throws Problem `not_found`, `environment_in_use` */
  delete(organizationId: string, environmentId: string): Promise<void>;
}

interface EnvironmentRow {
  id: string;
  name: string;
  description: string | null;
  config: unknown;
  metadata: Record<string, string>;
  created_at: Date;
  updated_at: Date;
  archived_at: Date | null;
}

function toEnvironment(row: EnvironmentRow): Environment {
  return {
    id: row.id,
    type: "environment",
    name: row.name,
    description: row.description,
    config: environmentConfig.parse(row.config),
    metadata: row.metadata,
    scope: "organization",
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
    archived_at: row.archived_at?.toISOString() ?? null,
  };
}

function environmentNotFound(environmentId: string): Problem {
  return new Problem(
    "not_found",
    `No environment has the id ${JSON.stringify(environmentId)}.`,
    "List them with GET /v1/environments.",
  );
}

function selectEnvironment(database: Kysely<Tables>, organizationId: string, environmentId: string) {
  return database
    .selectFrom("environments")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", "=", environmentId);
}

async function readEnvironment(
  database: Kysely<Tables>,
  organizationId: string,
  environmentId: string,
): Promise<Environment> {
  const row = await selectEnvironment(database, organizationId, environmentId).executeTakeFirst();
  if (row === undefined) throw environmentNotFound(environmentId);
  return toEnvironment(row);
}

function refuseAccountScope(scope: "organization" | "account" | null | undefined): void {
  if (scope !== "account") return;
  throw new Problem("unsupported", "scope: only `organization` is supported by this server.", "Leave it out.");
}

async function createEnvironment(
  database: Kysely<Tables>,
  organizationId: string,
  request: CreateEnvironmentRequest,
): Promise<Environment> {
  refuseAccountScope(request.scope);
  const config = resolveConfig(request.config ?? { type: "cloud" });
  const row = await database
    .insertInto("environments")
    .values({
      id: createId("environment"),
      organization_id: organizationId,
      name: request.name,
      description: request.description ?? null,
      config: JSON.stringify(config),
      metadata: JSON.stringify(request.metadata ?? {}),
      archived_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return toEnvironment(row);
}

function changedConfig(
  current: EnvironmentConfig,
  input: EnvironmentConfigInput | null | undefined,
): EnvironmentConfig {
  if (input === null || input === undefined) return current;
  if (input.type !== current.type) {
    throw new Problem(
      "invalid_config_type_change",
      `config.type: the environment is of type ${current.type}, which cannot change.`,
      "Create a new environment.",
    );
  }
  return resolveConfig(input, current);
}

async function updateEnvironment(
  database: Kysely<Tables>,
  organizationId: string,
  environmentId: string,
  request: UpdateEnvironmentRequest,
): Promise<Environment> {
  refuseAccountScope(request.scope);
  return database.transaction().execute(async (transaction) => {
    const row = await selectEnvironment(transaction, organizationId, environmentId).forUpdate().executeTakeFirst();
    if (row === undefined) throw environmentNotFound(environmentId);
    const current = toEnvironment(row);
    if (current.archived_at !== null) {
      throw new Problem(
        "environment_archived",
        "The environment is archived and cannot be changed.",
        "Create a new one.",
      );
    }
    const patch: Record<string, string | null> = { ...request.metadata };
    for (const [key, value] of Object.entries(patch)) if (value === "") patch[key] = null;
    const updated = await transaction
      .updateTable("environments")
      .set({
        name: request.name ?? current.name,
        description: request.description === undefined ? current.description : request.description,
        config: JSON.stringify(changedConfig(current.config, request.config)),
        metadata: JSON.stringify(changedMetadata(current.metadata, patch)),
        updated_at: sql<Date>`now()`,
      })
      .where("id", "=", environmentId)
      .returningAll()
      .executeTakeFirstOrThrow();
    return toEnvironment(updated);
  });
}

async function listEnvironments(
  database: Kysely<Tables>,
  organizationId: string,
  query: ListQuery,
): Promise<ListPage<Environment>> {
  const rows = await database
    .selectFrom("environments")
    .selectAll()
    .select(positionColumn.as("list_position"))
    .where("organization_id", "=", organizationId)
    .where(listCondition(query))
    .orderBy("created_at", readOrder(query))
    .orderBy("id", readOrder(query))
    .limit(query.limit + 1)
    .execute();
  const page = listPage(query, rows, (row) => ({ createdAt: row.list_position, id: row.id }));
  return { ...page, rows: page.rows.map(toEnvironment) };
}

/** SQLSTATE of a row that others still refer to. */
function isForeignKeyViolation(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "23503";
}

async function deleteEnvironment(
  database: Kysely<Tables>,
  organizationId: string,
  environmentId: string,
): Promise<void> {
  const result = await database
    .deleteFrom("environments")
    .where("organization_id", "=", organizationId)
    .where("id", "=", environmentId)
    .executeTakeFirst()
    .catch((error: unknown) => {
      if (!isForeignKeyViolation(error)) throw error;
      throw new Problem(
        "environment_in_use",
        "The environment has sessions and cannot be deleted.",
        "Archive it, or delete its sessions first.",
      );
    });
  if (result.numDeletedRows === 0n) throw environmentNotFound(environmentId);
}

/** @example const environments = createEnvironmentRepository(database); */
export function createEnvironmentRepository(database: Kysely<Tables>): EnvironmentRepository {
  return {
    create: (organizationId, request) => createEnvironment(database, organizationId, request),
    get: (organizationId, environmentId) => readEnvironment(database, organizationId, environmentId),
    update: (organizationId, environmentId, request) =>
      updateEnvironment(database, organizationId, environmentId, request),
    list: (organizationId, query) => listEnvironments(database, organizationId, query),
    async archive(organizationId, environmentId) {
      await database
        .updateTable("environments")
        .set({ archived_at: sql<Date>`now()`, updated_at: sql<Date>`now()` })
        .where("organization_id", "=", organizationId)
        .where("id", "=", environmentId)
        .where("archived_at", "is", null)
        .execute();
      return readEnvironment(database, organizationId, environmentId);
    },
    delete: (organizationId, environmentId) => deleteEnvironment(database, organizationId, environmentId),
  };
}
